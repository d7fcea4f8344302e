//! The chapter: sections, figures, manifests and words, read from `content/` and checked at start. Knows nobody.
