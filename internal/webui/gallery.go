package webui

func (p *Portal) mountGallery() { p.Page("GET /gallery", showGallery) }
