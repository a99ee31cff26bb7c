package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// folder reads the tiles of a bundle, whose paths are those of c2sp.org/tlog-tiles: tile/LEVEL/NNN, without the height.
type folder string

func (f folder) Height() int                         { return 8 }
func (f folder) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		content, err := os.ReadFile(filepath.Join(string(f), strings.Replace(tile.Path(), "tile/8/", "tile/", 1)))
		if err != nil {
			return nil, err
		}
		found = append(found, content)
	}
	return found, nil
}

// checkBundle opens the checkpoint, lets tlog check the tiles against it, and compares every event with its leaf.
func checkBundle(path, key string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(path, "checkpoint"))
	if err != nil {
		return err
	}
	signed, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	lines := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, folder(path))
	for first := int64(0); first < size; first += 256 {
		width := min(256, size-first)
		tile := tlog.Tile{H: 8, L: -1, N: first / 256, W: int(width)}
		name := strings.Replace(tile.Path(), "tile/8/data/", "tile/entries/", 1)
		content, err := os.ReadFile(filepath.Join(path, name))
		if err != nil {
			return err
		}
		for index := first; index < first+width; index++ {
			if len(content) < 2 || len(content) < 2+int(binary.BigEndian.Uint16(content)) {
				return fmt.Errorf("event %d is cut off", index+1)
			}
			end := 2 + int(binary.BigEndian.Uint16(content))
			leaves, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
			if err != nil {
				return err
			}
			if leaves[0] != tlog.RecordHash(content[2:end]) {
				return fmt.Errorf("event %d is not what was signed", index+1)
			}
			content = content[end:]
		}
		if len(content) > 0 {
			return fmt.Errorf("something stands behind event %d", first+width)
		}
	}
	return nil
}
