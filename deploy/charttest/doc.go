// Package charttest holds deploy/ to what it claims: the Helm chart is
// rendered and every document strictly decoded into the types of Kubernetes,
// KEDA and the Prometheus operator; the compose file and the Dockerfile are
// read by the loaders of their makers; and the mediafn beside them is asked
// whether it takes each configuration that is in them.
//
// It is a module of its own, so that none of these become dependencies of
// mediafn.
package charttest
