package csvimport

// guessed is a legacy encoding: in words, and by the name that converts from it.
type guessed struct{ what, name string }

var (
	guessGBK  = guessed{"GBK/GB18030 (Chinese)", "gb18030"}
	guess1250 = guessed{"Windows-1250 (Central European)", "windows-1250"}
	guess1251 = guessed{"Windows-1251 (Cyrillic)", "windows-1251"}
	guess1252 = guessed{"Windows-1252 (Western European)", "windows-1252"}
	guess1253 = guessed{"Windows-1253 (Greek)", "windows-1253"}
	guess1254 = guessed{"Windows-1254 (Turkish)", "windows-1254"}
	guess1255 = guessed{"Windows-1255 (Hebrew)", "windows-1255"}
	guess1256 = guessed{"Windows-1256 (Arabic)", "windows-1256"}
)

// guess takes a sample of text that is no UTF-8 for one of the encodings that
// spreadsheets write by themselves.
//
//   - Chinese comes in pairs of high bytes, the first of them nearly always in B0-D7
//     (the frequent characters of GB 2312), the second anywhere from A1 on; Cyrillic
//     capitals are C0-DF, both of a pair.
//   - Cyrillic, Greek, Hebrew and Arabic words are runs of letters C0-FF; Western words have
//     one or two among ASCII letters. After a small letter DC-DF is a Greek vowel with its
//     accent; in Cyrillic it is a capital, and stands in no such place. Hebrew has E0-FA
//     alone, and much of the last three, which are rare in Cyrillic. A sixth of an Arabic text is alef (C7) and lam (E1); in Cyrillic C7 is a capital.
//   - Turkish has FD (dotless i) and FE more often than F0, Icelandic the other way round, and
//     no other Western language has much of them.
//   - Windows-1250 has letters where Windows-1252 has signs that stand in no word, and
//     languages with s and z that have a caron, which is in both.
func guess(sample []byte) guessed {
	var n traits
	for i := 0; i < len(sample); {
		if sample[i] < 0x80 {
			i++
			continue
		}
		end := i
		for end < len(sample) && sample[end] >= 0x80 {
			end++
		}
		n.count(sample[i:end])
		i = end
	}
	capitals := n.high >= 6 && n.between(0xc0, 0xdf) == n.high
	turkish := n.of[0xfd] + n.of[0xfe]
	switch {
	case n.pairs > 0 && 2*n.pairs*10 >= n.high*8 && n.chinese*10 >= n.pairs*7 && !capitals:
		return guessGBK
	case n.inRuns*2 > n.high:
		return n.alphabet()
	case turkish >= 2 && turkish > n.of[0xf0] && (turkish+n.of[0xf0])*3 >= n.high:
		return guess1254
	case n.polish > 0 && n.letters+n.polish == n.high:
		return guess1250
	default:
		return guess1252
	}
}

// alphabet tells apart those that have no ASCII letter in a word.
func (n *traits) alphabet() guessed {
	switch {
	case n.greek > 0 && n.greek*10 > n.words:
		return guess1253
	case n.between(0xe0, 0xfa) == n.high && n.between(0xf8, 0xfa)*8 >= n.high:
		return guess1255
	case n.of[0xc7] >= 2 && (n.of[0xc7]+n.of[0xe1])*6 >= n.high:
		return guess1256
	}
	return guess1251
}

// traits count what tells the encodings apart: each high byte, and of all those letters
// C0-FF, those in runs of three or more; runs; pairs, and those that look Chinese; what looks
// Polish or Greek.
type traits struct {
	of                                                          [256]int
	high, letters, inRuns, words, pairs, chinese, polish, greek int
}

// between counts the bytes from first to last.
func (n *traits) between(first, last byte) (sum int) {
	for b := int(first); b <= int(last); b++ {
		sum += n.of[b]
	}
	return sum
}

// count counts a run of high bytes.
func (n *traits) count(run []byte) {
	n.words++
	for j := 0; j+1 < len(run); j += 2 {
		n.pairs++
		if run[j] >= 0xb0 && run[j] <= 0xd7 && run[j+1] >= 0xa1 {
			n.chinese++
		}
	}
	for j, b := range run {
		n.high++
		n.of[b]++
		switch {
		case b >= 0xc0:
			n.letters++
			if len(run) > 2 {
				n.inRuns++
			}
			if j > 0 && b >= 0xdc && b <= 0xdf && run[j-1] >= 0xe0 {
				n.greek++
			}
		case is1250(b):
			n.polish++
		}
	}
}

// is1250 reports the letters of Windows-1250 that are signs in Windows-1252, and s and z
// with a caron.
func is1250(b byte) bool {
	switch b {
	case 0x8a, 0x8c, 0x8d, 0x8e, 0x8f, 0x9a, 0x9c, 0x9d, 0x9e, 0x9f, 0xa3, 0xa5, 0xaa, 0xaf, 0xb3, 0xb9, 0xba, 0xbc, 0xbe, 0xbf:
		return true
	}
	return false
}
