// khatru on a loopback port, keeping nothing: ephemeral events that nobody hears are refused. For tests, never for production.
package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/fiatjaf/khatru"
)

func main() {
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], khatru.NewRelay()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
