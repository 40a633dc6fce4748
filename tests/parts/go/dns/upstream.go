package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// upstream stands in for the resolver of a VPC: it answers every name after a fixed latency, over
// UDP and TCP. It prints one line of JSON with what it received at SIGUSR1 and when it ends.
func upstream(args []string) error {
	flags := flag.NewFlagSet("upstream", flag.ExitOnError)
	listen := flags.String("listen", "127.0.0.1:53", "address and port")
	latency := flags.Duration("latency", 1500*time.Microsecond, "from a query to its answer")
	ttl := flags.Uint("ttl", 60, "seconds that an answer may be kept")
	address := flags.String("address", "192.0.2.1", "the IPv4 address of every name without one of its own")
	own := map[string]net.IP{}
	flags.Func("name", "NAME=ADDRESS, a name with an IPv4 address of its own; several times", func(text string) error {
		name, ip, _ := strings.Cut(text, "=")
		parsed := net.ParseIP(ip)
		if parsed == nil {
			return fmt.Errorf("%q is no NAME=ADDRESS", text)
		}
		own[dns.CanonicalName(name)] = parsed
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	fallback := net.ParseIP(*address)
	if fallback == nil {
		return fmt.Errorf("%q is no address", *address)
	}

	var received struct {
		udp, tcp, a, aaaa, ns, other atomic.Uint64
	}
	handle := func(writer dns.ResponseWriter, query *dns.Msg) {
		if writer.RemoteAddr().Network() == "tcp" {
			received.tcp.Add(1)
		} else {
			received.udp.Add(1)
		}
		reply := new(dns.Msg)
		reply.SetReply(query)
		reply.RecursionAvailable = true
		if len(query.Question) == 1 {
			question := query.Question[0]
			header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: uint32(*ttl)}
			switch question.Qtype {
			case dns.TypeA:
				received.a.Add(1)
				ip, ok := own[dns.CanonicalName(question.Name)]
				if !ok {
					ip = fallback
				}
				reply.Answer = []dns.RR{&dns.A{Hdr: header, A: ip}}
			case dns.TypeAAAA:
				received.aaaa.Add(1)
				// A name with an address of its own has no other.
				if _, ok := own[dns.CanonicalName(question.Name)]; !ok {
					reply.Answer = []dns.RR{&dns.AAAA{Hdr: header, AAAA: net.ParseIP("2001:db8::1")}}
				}
			case dns.TypeNS:
				received.ns.Add(1)
				reply.Answer = []dns.RR{&dns.NS{Hdr: header, Ns: "ns.example."}}
			default:
				received.other.Add(1)
			}
		}
		time.Sleep(*latency)
		// A client that has gone has no use for an answer.
		_ = writer.WriteMsg(reply)
	}

	failed := make(chan error, 2)
	for _, network := range []string{"udp", "tcp"} {
		server := &dns.Server{Addr: *listen, Net: network, Handler: dns.HandlerFunc(handle)}
		server.NotifyStartedFunc = func() { fmt.Printf("listening on %s %s\n", network, *listen) }
		go func() { failed <- server.ListenAndServe() }()
	}
	report := func() {
		line, _ := json.Marshal(map[string]uint64{
			"udp": received.udp.Load(), "tcp": received.tcp.Load(), "a": received.a.Load(),
			"aaaa": received.aaaa.Load(), "ns": received.ns.Load(), "other": received.other.Load(),
		})
		fmt.Println(string(line))
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM, os.Interrupt)
	for {
		select {
		case err := <-failed:
			return err
		case it := <-signals:
			report()
			if it != syscall.SIGUSR1 {
				return nil
			}
		}
	}
}
