package rates

import "strconv"

// kind is what a bucket holds.
type kind string

const (
	bytesKind    kind = "bytes"
	messagesKind kind = "messages"
)

// bucketKey is where Redis keeps an endpoint's bucket.
func bucketKey(endpointID int64, k kind) string {
	return "mailhaul:rates:" + strconv.FormatInt(endpointID, 10) + ":" + string(k)
}
