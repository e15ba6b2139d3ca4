package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

func text(into *string) func(string) error {
	return func(v string) error {
		*into = v
		return nil
	}
}

func secret(into *Secret) func(string) error {
	return func(v string) error {
		*into = NewSecret(v)
		return nil
	}
}

func oneOf(into *string, values ...string) func(string) error {
	return func(v string) error {
		for _, x := range values {
			if strings.EqualFold(v, x) {
				*into = x
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", v, strings.Join(values, ", "))
	}
}

func boolean(into *bool) func(string) error {
	return func(v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", v)
		}
		*into = b
		return nil
	}
}

func count(into *int, least, most int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is no number from %d to %d", v, least, most)
		}
		*into = n
		return nil
	}
}

// bytes takes a number of bytes, with K, M or G for powers of 1000.
func bytes(into *int64) func(string) error {
	return func(v string) error {
		digits, unit := strings.ToUpper(v), int64(1)
		for suffix, power := range map[string]int64{"K": 1e3, "M": 1e6, "G": 1e9} {
			if rest, found := strings.CutSuffix(digits, suffix); found {
				digits, unit = rest, power
				break
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > mostBytes/unit {
			return fmt.Errorf("%q is no number of bytes: write it like 500K, 128M or 2G", v)
		}
		*into = n * unit
		return nil
	}
}

// mostBytes is more than any machine's memory, so that sums of such numbers fit.
const mostBytes = 1 << 50

func duration(into *time.Duration, least time.Duration) func(string) error {
	return func(v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is no duration: write it like 90s, 15m or 24h", v)
		}
		if d < least {
			return fmt.Errorf("%s is too short: at least %s", d, least)
		}
		*into = d
		return nil
	}
}

// secretURL takes a URL of one of schemes; its error repeats no more than the
// scheme, because the rest may hold a password.
func secretURL(into *Secret, schemes ...string) func(string) error {
	return func(v string) error {
		scheme, _, found := strings.Cut(v, "://")
		if !found {
			return fmt.Errorf("is no URL: it begins with %s", strings.Join(schemes, " or "))
		}
		for _, s := range schemes {
			if scheme+"://" == s {
				*into = NewSecret(v)
				return nil
			}
		}
		return fmt.Errorf("begins with %q: use %s", scheme+"://", strings.Join(schemes, " or "))
	}
}

func listenAddress(into *string) func(string) error {
	return func(v string) error {
		_, port, err := net.SplitHostPort(v)
		if err != nil {
			return fmt.Errorf("%q is no HOST:PORT, such as 127.0.0.1:8080", v)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%q is no port from 0 to 65535", port)
		} else if n == 0 && port != "0" {
			return fmt.Errorf("%q is no port", port)
		}
		*into = v
		return nil
	}
}

// Loopback reports whether address, a HOST:PORT, can be reached from this machine
// alone.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
