package system

import "syscall"

// disk tells how much room there is for this account where path is; zeros when
// that cannot be told.
func disk(path string) (free, total int64) {
	var st syscall.Statfs_t
	if syscall.Statfs(path, &st) != nil {
		return 0, 0
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize) //nolint:unconvert // types differ by system
}
