package wire

import (
	"encoding/binary"
	"iter"
	"slices"
)

// Column describes a column of a result.
type Column struct {
	Name     []byte
	Table    uint32 // object identifier; 0 if it is not a table's column
	Number   int16  // of the attribute in that table
	Type     uint32 // object identifier
	Size     int16  // in bytes; negative is variable
	Modifier int32
	Format   int16 // 0 text, 1 binary
}

// Columns are the columns of a result, in place.
type Columns struct {
	count int
	bytes []byte
}

// Len is how many there are.
func (c Columns) Len() int { return c.count }

// All yields them in order.
func (c Columns) All() iter.Seq[Column] {
	return func(yield func(Column) bool) {
		at := cursor{rest: c.bytes}
		for range c.count {
			if !yield(at.column()) {
				return
			}
		}
	}
}

// RowDescriptionView is a RowDescription in place.
type RowDescriptionView struct{ Columns Columns }

// ViewRowDescription reads the body of a RowDescription.
func ViewRowDescription(body []byte) (v RowDescriptionView, err error) {
	c := cursor{rest: body}
	v.Columns = c.columns()
	return v, c.end("RowDescription")
}

func (c *cursor) columns() Columns {
	count := int(c.uint16())
	start := c.rest
	for range count {
		c.text()
		c.take(18)
	}
	if c.wrong != "" {
		return Columns{}
	}
	return Columns{count: count, bytes: slices.Clip(start[:len(start)-len(c.rest)])}
}

func (c *cursor) column() (col Column) {
	col.Name = c.text()
	col.Table = c.uint32()
	col.Number = int16(c.uint16())
	col.Type = c.uint32()
	col.Size = int16(c.uint16())
	col.Modifier = int32(c.uint32())
	col.Format = int16(c.uint16())
	return col
}

// AppendRowDescription builds a RowDescription.
func AppendRowDescription(dst []byte, columns ...Column) []byte {
	dst, at := begin(dst, 'T')
	dst = appendCount(dst, len(columns))
	for i := range columns {
		dst = appendColumn(dst, columns[i].Name, &columns[i])
	}
	return finish(dst, at)
}

// AppendTextColumns builds a RowDescription of columns of type text.
func AppendTextColumns(dst []byte, names ...string) []byte {
	dst, at := begin(dst, 'T')
	dst = appendCount(dst, len(names))
	for _, name := range names {
		dst = appendColumn(dst, name, &textColumn)
	}
	return finish(dst, at)
}

var textColumn = Column{Type: 25, Size: -1, Modifier: -1}

func appendColumn[N Text](dst []byte, name N, col *Column) []byte {
	to := binary.BigEndian
	dst = appendText(dst, name)
	dst = to.AppendUint32(dst, col.Table)
	dst = to.AppendUint16(dst, uint16(col.Number))
	dst = to.AppendUint32(dst, col.Type)
	dst = to.AppendUint16(dst, uint16(col.Size))
	dst = to.AppendUint32(dst, uint32(col.Modifier))
	return to.AppendUint16(dst, uint16(col.Format))
}
