package wire

import "encoding/binary"

// NotificationResponseView is a NotificationResponse in place.
type NotificationResponseView struct {
	PID     uint32 // of the server process that notified
	Channel []byte
	Payload []byte
}

// ViewNotificationResponse reads the body of a NotificationResponse.
func ViewNotificationResponse(body []byte) (v NotificationResponseView, err error) {
	c := cursor{rest: body}
	v.PID = c.uint32()
	v.Channel = c.text()
	v.Payload = c.text()
	return v, c.end("NotificationResponse")
}

// AppendNotificationResponse builds a NotificationResponse.
func AppendNotificationResponse[N, P Text](dst []byte, pid uint32, channel N, payload P) []byte {
	dst, at := begin(dst, 'A')
	dst = binary.BigEndian.AppendUint32(dst, pid)
	return finish(appendText(appendText(dst, channel), payload), at)
}
