// The two ends of name resolution that the tests measure a real CoreDNS between: the resolver that
// it forwards to, and the programs that ask it.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"upstream": upstream, "load": load}
	if len(os.Args) > 1 {
		if command, ok := commands[os.Args[1]]; ok {
			if err := command(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, "dns:", err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: dns upstream|load [FLAGS]; -h lists them")
	os.Exit(2)
}
