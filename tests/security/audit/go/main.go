// Judges proofs, checkpoints and cosignatures with the modules that transparency logs are run with.
package main

import (
	"encoding/base64"
	"encoding/json"
	"os"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type question struct {
	Kind, Leaf, Root, Note, Key string
	Index, Size                 uint64
	Proof                       []string
}

func bytes(text string) []byte {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return raw
}

func judge(q question) bool {
	var path [][]byte
	for _, node := range q.Proof {
		path = append(path, bytes(node))
	}
	switch q.Kind {
	case "inclusion":
		return proof.VerifyInclusion(rfc6962.DefaultHasher, q.Index, q.Size, bytes(q.Leaf), path, bytes(q.Root)) == nil
	case "consistency":
		return proof.VerifyConsistency(rfc6962.DefaultHasher, q.Index, q.Size, path, bytes(q.Leaf), bytes(q.Root)) == nil
	}
	if q.Kind == "bundle" {
		return checkBundle(q.Note, q.Key) == nil
	}
	var verifier note.Verifier
	var err error
	if q.Kind == "cosignature" {
		verifier, err = fnote.NewVerifierForCosignatureV1(q.Key)
	} else {
		verifier, err = note.NewVerifier(q.Key)
	}
	if err != nil {
		panic(err)
	}
	_, err = note.Open([]byte(q.Note), note.VerifierList(verifier))
	return err == nil
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		panic(err)
	}
	answers := make([]bool, len(questions))
	for i, q := range questions {
		answers[i] = judge(q)
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
