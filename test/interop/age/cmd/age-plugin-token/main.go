// An age plugin for tests: stands for a hardware token. Its identity (AGE-PLUGIN-TOKEN-1…) is an X25519 key, and its recipient (age1token1…) that key's public
// half; what it wraps is an X25519 stanza as age's own. `age-plugin-token --generate` prints a new identity as age-plugin-yubikey does.
package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

const name = "token"

func main() {
	p, err := plugin.New(name)
	if err != nil {
		log.Fatal(err)
	}
	p.RegisterFlags(nil)
	generate := flag.Bool("generate", false, "print a new identity")
	flag.Parse()
	if *generate {
		key, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("# Recipient: %s\n%s\n", plugin.EncodeRecipient(name, key.PublicKey().Bytes()), plugin.EncodeIdentity(name, key.Bytes()))
		return
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) { return native(data) })
	p.HandleIdentity(func(data []byte) (age.Identity, error) { return secret(data) })
	os.Exit(p.Main())
}

// The token's stanza names the token, so that age's own identities never take it for theirs.
type recipient struct{ public []byte }

func native(data []byte) (age.Recipient, error) {
	if _, err := ecdh.X25519().NewPublicKey(data); err != nil {
		return nil, err
	}
	return recipient{data}, nil
}

func (r recipient) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	inner, err := age.ParseX25519Recipient(bech32("age", r.public))
	if err != nil {
		return nil, err
	}
	stanzas, err := inner.Wrap(fileKey)
	if err != nil {
		return nil, err
	}
	for _, stanza := range stanzas {
		stanza.Type = name
	}
	return stanzas, nil
}

type identity struct{ inner *age.X25519Identity }

func secret(data []byte) (age.Identity, error) {
	inner, err := age.ParseX25519Identity(strings.ToUpper(bech32("age-secret-key-", data)))
	if err != nil {
		return nil, err
	}
	return identity{inner}, nil
}

func (i identity) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	var own []*age.Stanza
	for _, stanza := range stanzas {
		if stanza.Type == name {
			own = append(own, &age.Stanza{Type: "X25519", Args: stanza.Args, Body: stanza.Body})
		}
	}
	if len(own) == 0 {
		return nil, age.ErrIncorrectIdentity
	}
	return i.inner.Unwrap(own)
}

// Bech32, which age keeps to itself. BIP 173, without its limit of 90 characters.
func bech32(prefix string, data []byte) string {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	var values []byte
	accumulator, bits := 0, 0
	for _, one := range data {
		accumulator, bits = accumulator<<8|int(one), bits+8
		for ; bits >= 5; bits -= 5 {
			values = append(values, byte(accumulator>>(bits-5)&31))
		}
	}
	if bits > 0 {
		values = append(values, byte(accumulator<<(5-bits)&31))
	}
	sum := uint32(1)
	step := func(value byte) {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ uint32(value)
		for i, generator := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= generator
			}
		}
	}
	for _, letter := range []byte(prefix) {
		step(letter >> 5)
	}
	step(0)
	for _, letter := range []byte(prefix) {
		step(letter & 31)
	}
	for _, value := range values {
		step(value)
	}
	for range 6 {
		step(0)
	}
	sum ^= 1
	for i := range 6 {
		values = append(values, byte(sum>>(5*(5-i))&31))
	}
	text := prefix + "1"
	for _, value := range values {
		text += string(alphabet[value])
	}
	return text
}
