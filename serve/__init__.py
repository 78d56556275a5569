"""Ray Serve: search over HTTP and the page; one subject per file, `app` puts them together."""
