"""The Helm chart of `deploy/helm/tapedeck` in tests: rendered, judged, and started as processes."""
