package access

const listLevels = 4

func (s *Set) compileLists() {}
