package main

import "testing"

func TestBytesFlagTakesUnits(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "500000": 500_000, "500K": 500_000, "2500m": 2_500_000_000, "2G": 2e9, "9T": 9e12,
		"": -1, "-1": -1, "G": -1, "1.5G": -1, "1GB": -1, "10000000T": -1,
	} {
		n := int64(-1)
		if err := (bytesFlag{&n}).Set(text); (err != nil) != (want < 0) || n != want {
			t.Errorf("%q: %d, %v, want %d", text, n, err, want)
		}
	}
}
