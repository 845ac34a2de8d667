package ring

import "unsafe"

// offset tells where piece lies in whole; it panics when it does not.
func offset(whole, piece []byte) int {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(piece))) - uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	if at > uintptr(len(whole)) || at+uintptr(len(piece)) > uintptr(len(whole)) {
		panic("ring: Send of bytes outside the Buf")
	}
	return int(at)
}
