package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

// The sockets that lookups share: with one for each, those that wait would be more than a process
// may open.
const sockets = 64

// What became of one query.
type answer int

const (
	noError answer = iota
	servFail
	otherRcode
	timedOut
	notSent
)

// asker sends one query and waits for its answer.
type asker func(query *dns.Msg, timeout time.Duration) answer

// load asks a server for names that were never asked for before, at a fixed rate whatever becomes
// of them, as glibc's resolver asks: a query that is not answered in time, or with SERVFAIL, is sent
// again until the attempts are used up. It ends after the duration, or at SIGTERM or SIGINT, when
// the last lookup has ended, and prints one line of JSON.
func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	server := flags.String("server", "127.0.0.1:53", "the server to ask")
	rate := flags.Float64("rate", 500, "lookups a second")
	duration := flags.Duration("duration", 10*time.Second, "how long new lookups begin")
	timeout := flags.Duration("timeout", 5*time.Second, "how long one attempt waits (glibc: 5s)")
	attempts := flags.Int("attempts", 2, "attempts of a lookup (glibc: 2)")
	zone := flags.String("zone", "example.com.", "names are made up below it")
	tcp := flags.Bool("tcp", false, "each query by a TCP connection of its own")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rate <= 0 || *rate > 100_000 || *attempts < 1 {
		return errors.New("a rate above 0 and up to 100000, and at least one attempt")
	}

	var ask asker
	if *tcp {
		ask = askByTCP(*server)
	} else {
		udp, err := newUDP(*server)
		if err != nil {
			return err
		}
		ask = udp.ask
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM, os.Interrupt)

	var result result
	var lookups sync.WaitGroup
	began := time.Now()
	gap := time.Duration(float64(time.Second) / *rate)
	run := fmt.Sprintf("%x", began.UnixNano())
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	begun := 0
begin:
	for {
		select {
		case <-stopped:
			break begin
		case <-ticker.C:
		}
		elapsed := min(time.Since(began), *duration)
		for ; time.Duration(begun)*gap < elapsed; begun++ {
			name := fmt.Sprintf("n%d.%s.%s", begun, run, dns.Fqdn(*zone))
			kind := dns.TypeA
			if begun%2 == 1 {
				kind = dns.TypeAAAA
			}
			lookups.Go(func() { result.lookup(ask, name, kind, *attempts, *timeout) })
		}
		if elapsed == *duration {
			break
		}
	}
	result.seconds = time.Since(began).Seconds()
	fmt.Fprintf(os.Stderr, "%d lookups begun in %.3f s\n", begun, result.seconds)
	lookups.Wait()
	fmt.Println(result.json())
	return nil
}

// result is what became of all lookups.
type result struct {
	mutex   sync.Mutex
	seconds float64
	// Lookups, by how they ended.
	resolved, resolvedAgain, failed int
	// Queries, by how they ended.
	queries map[answer]int
	// From the first query of a lookup to its end, of those resolved and of those not.
	resolvedIn, failedIn []time.Duration
	// Until the answer SERVFAIL came.
	servFailIn []time.Duration
}

func (r *result) lookup(ask asker, name string, kind uint16, attempts int, timeout time.Duration) {
	began := time.Now()
	for attempt := range attempts {
		query := new(dns.Msg)
		query.SetQuestion(name, kind)
		sent := time.Now()
		came := ask(query, timeout)
		ended := time.Now()
		r.mutex.Lock()
		if r.queries == nil {
			r.queries = map[answer]int{}
		}
		r.queries[came]++
		if came == servFail {
			r.servFailIn = append(r.servFailIn, ended.Sub(sent))
		}
		done := came == noError || came == otherRcode
		switch {
		case done:
			r.resolved++
			if attempt > 0 {
				r.resolvedAgain++
			}
			r.resolvedIn = append(r.resolvedIn, ended.Sub(began))
		case attempt == attempts-1:
			r.failed++
			r.failedIn = append(r.failedIn, ended.Sub(began))
		}
		r.mutex.Unlock()
		if done {
			return
		}
	}
}

func (r *result) json() string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	queries := 0
	for _, count := range r.queries {
		queries += count
	}
	line, _ := json.Marshal(map[string]any{
		"seconds":                   r.seconds,
		"lookups":                   r.resolved + r.failed,
		"resolved":                  r.resolved,
		"resolved_by_later_attempt": r.resolvedAgain,
		"failed":                    r.failed,
		"sent":                      queries - r.queries[notSent],
		"not_sent":                  r.queries[notSent],
		"answered":                  r.queries[noError],
		"servfail":                  r.queries[servFail],
		"other_rcode":               r.queries[otherRcode],
		"timeouts":                  r.queries[timedOut],
		"resolved_ms":               percentiles(r.resolvedIn),
		"failed_ms":                 percentiles(r.failedIn),
		"servfail_ms":               percentiles(r.servFailIn),
	})
	return string(line)
}

// percentiles gives some of them in milliseconds; nothing of nothing.
func percentiles(of []time.Duration) map[string]float64 {
	slices.Sort(of)
	found := map[string]float64{}
	for name, share := range map[string]float64{"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "max": 1} {
		if len(of) > 0 {
			at := min(int(share*float64(len(of))), len(of)-1)
			found[name] = float64(of[at].Microseconds()) / 1000
		}
	}
	return found
}

func judged(reply *dns.Msg) answer {
	switch reply.Rcode {
	case dns.RcodeSuccess:
		return noError
	case dns.RcodeServerFailure:
		return servFail
	default:
		return otherRcode
	}
}

func askByTCP(server string) asker {
	return func(query *dns.Msg, timeout time.Duration) answer {
		client := dns.Client{Net: "tcp", Timeout: timeout}
		reply, _, err := client.Exchange(query, server)
		if err != nil {
			return timedOut
		}
		return judged(reply)
	}
}

// udp is the sockets that queries share. On each, a query is known by its number.
type udp struct {
	mutex sync.Mutex
	next  int
	conns []*conn
}

type conn struct {
	socket  net.Conn
	mutex   sync.Mutex
	waiting map[uint16]chan answer
	number  uint16
}

func newUDP(server string) (*udp, error) {
	all := &udp{}
	for range sockets {
		socket, err := net.Dial("udp", server)
		if err != nil {
			return nil, err
		}
		if err := socket.(*net.UDPConn).SetReadBuffer(4 << 20); err != nil {
			return nil, err
		}
		conn := &conn{socket: socket, waiting: map[uint16]chan answer{}}
		go conn.read()
		all.conns = append(all.conns, conn)
	}
	return all, nil
}

func (all *udp) ask(query *dns.Msg, timeout time.Duration) answer {
	all.mutex.Lock()
	all.next++
	conn := all.conns[all.next%len(all.conns)]
	all.mutex.Unlock()

	come := make(chan answer, 1)
	conn.mutex.Lock()
	conn.number++
	for conn.waiting[conn.number] != nil {
		conn.number++
	}
	query.Id = conn.number
	conn.waiting[query.Id] = come
	conn.mutex.Unlock()
	defer func() {
		conn.mutex.Lock()
		delete(conn.waiting, query.Id)
		conn.mutex.Unlock()
	}()

	packed, err := query.Pack()
	if err == nil {
		_, err = conn.socket.Write(packed)
	}
	if err != nil {
		return notSent
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case answer := <-come:
		return answer
	case <-timer.C:
		return timedOut
	}
}

func (c *conn) read() {
	buffer := make([]byte, dns.MaxMsgSize)
	for {
		size, err := c.socket.Read(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		reply := new(dns.Msg)
		if err != nil || reply.Unpack(buffer[:size]) != nil {
			continue
		}
		c.mutex.Lock()
		come := c.waiting[reply.Id]
		delete(c.waiting, reply.Id)
		c.mutex.Unlock()
		if come != nil {
			come <- judged(reply)
		}
	}
}
