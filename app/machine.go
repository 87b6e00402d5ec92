package app

import (
	"fmt"
	"strconv"
	"strings"
)

// parseBytes reads 1073741824, 512MiB, 8GiB, 8G.
func parseBytes(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTiB ")
	shift := map[string]int{"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}
	unit := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSpace(s[len(number):]), "B"), "i")
	bits, known := shift[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || n <= 0 {
		return 0, fmt.Errorf("%q is not a size such as 8GiB", s)
	}
	return int64(n * float64(int64(1)<<bits)), nil
}
