package wire

// AppendCopyData builds a CopyData, which goes both ways. Its body is the
// data and nothing else, so there is no view of it.
func AppendCopyData[T Text](dst []byte, data T) []byte {
	dst, at := begin(dst, 'd')
	return finish(append(dst, data...), at)
}
