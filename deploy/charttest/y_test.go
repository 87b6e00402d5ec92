package charttest

import (
	_ "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	_ "github.com/moby/buildkit/frontend/dockerfile/instructions"
)
