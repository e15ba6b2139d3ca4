package csvimport

// guessed is a legacy encoding: in words, and by the name that converts from it.
type guessed struct{ what, name string }

var (
	guessGBK  = guessed{"GBK/GB18030 (Chinese)", "gb18030"}
	guess1250 = guessed{"Windows-1250 (Central European)", "windows-1250"}
	guess1251 = guessed{"Windows-1251 (Cyrillic)", "windows-1251"}
	guess1252 = guessed{"Windows-1252 (Western European)", "windows-1252"}
)

// guess takes a sample of text that is no UTF-8 for one of the encodings that
// spreadsheets write by themselves.
//
//   - Chinese comes in pairs of high bytes, the first of them nearly always in B0-D7
//     (the frequent characters of GB 2312); Cyrillic small letters are E0-FF.
//   - Cyrillic words are runs of letters C0-FF; Western words have one or two among
//     ASCII letters.
//   - Windows-1250 has letters where Windows-1252 has signs that stand in no word.
func guess(sample []byte) guessed {
	var pairs, chinese, high, letters, inRuns, polish int
	for i := 0; i < len(sample); {
		if sample[i] < 0x80 {
			i++
			continue
		}
		end := i
		for end < len(sample) && sample[end] >= 0x80 {
			end++
		}
		run := sample[i:end]
		for j := 0; j+1 < len(run); j += 2 {
			pairs++
			if run[j] >= 0xb0 && run[j] <= 0xd7 && run[j+1] >= 0xa1 {
				chinese++
			}
		}
		for _, b := range run {
			high++
			switch {
			case b >= 0xc0:
				letters++
				if len(run) > 2 {
					inRuns++
				}
			case is1250(b):
				polish++
			}
		}
		i = end
	}
	switch {
	case pairs > 0 && 2*pairs*10 >= high*8 && chinese*10 >= pairs*7:
		return guessGBK
	case inRuns*2 > high:
		return guess1251
	case polish > 0 && letters+polish == high:
		return guess1250
	default:
		return guess1252
	}
}

// is1250 reports the letters of Windows-1250 that are signs in Windows-1252.
func is1250(b byte) bool {
	switch b {
	case 0x8c, 0x8d, 0x8f, 0x9c, 0x9d, 0x9f, 0xa3, 0xa5, 0xaa, 0xaf, 0xb3, 0xb9, 0xba, 0xbc, 0xbe, 0xbf:
		return true
	}
	return false
}
