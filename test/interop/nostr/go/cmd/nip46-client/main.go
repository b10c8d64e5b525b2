// A NIP-46 client of go-nostr's for tests: a JSON line in for each request, a JSON line out for each answer. Never for production.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nbd-wtf/go-nostr"
	"github.com/nbd-wtf/go-nostr/nip46"
)

type request struct {
	Verb       string      `json:"verb"`
	URI        string      `json:"uri"`
	SecretKey  string      `json:"secretKey"`
	Event      nostr.Event `json:"event"`
	Scheme     string      `json:"scheme"`
	With       string      `json:"with"`
	Text       string      `json:"text"`
	DeadlineMs int         `json:"deadlineMs"`
}

// Connections outlive a single request's deadline.
var always = context.Background()

func do(bunker **nip46.BunkerClient, one request) (any, error) {
	ctx, cancel := context.WithTimeout(always, time.Duration(one.DeadlineMs)*time.Millisecond)
	defer cancel()
	if one.Verb == "connect" {
		return connect(ctx, bunker, one)
	}
	if *bunker == nil {
		return nil, errors.New("connect first")
	}
	switch one.Verb {
	case "get_public_key":
		return (*bunker).GetPublicKey(ctx)
	case "sign":
		err := (*bunker).SignEvent(ctx, &one.Event)
		return one.Event, err
	case "encrypt":
		if one.Scheme == "nip04" {
			return (*bunker).NIP04Encrypt(ctx, one.With, one.Text)
		}
		return (*bunker).NIP44Encrypt(ctx, one.With, one.Text)
	case "decrypt":
		if one.Scheme == "nip04" {
			return (*bunker).NIP04Decrypt(ctx, one.With, one.Text)
		}
		return (*bunker).NIP44Decrypt(ctx, one.With, one.Text)
	case "ping", "logout":
		return (*bunker).RPC(ctx, one.Verb, []string{})
	}
	return nil, fmt.Errorf("unsupported: %s", one.Verb)
}

// ConnectBunker ties its subscription to the context that it is given, so that the deadline has to be kept here.
func connect(ctx context.Context, bunker **nip46.BunkerClient, one request) (any, error) {
	type outcome struct {
		bunker *nip46.BunkerClient
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		made, err := nip46.ConnectBunker(always, one.SecretKey, one.URI, nil, nil)
		done <- outcome{made, err}
	}()
	select {
	case it := <-done:
		if it.err == nil {
			*bunker = it.bunker
		}
		return "connected", it.err
	case <-ctx.Done():
		return nil, errors.New("deadline: no answer to connect")
	}
}

func main() {
	var bunker *nip46.BunkerClient
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var one request
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if result, err := do(&bunker, one); err != nil {
			_ = out.Encode(map[string]any{"error": err.Error()})
		} else {
			_ = out.Encode(map[string]any{"result": result})
		}
	}
}
