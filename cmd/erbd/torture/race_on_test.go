//go:build unix && race

package torture

// raceDetector says that the tests, and so erbd, run under the race detector.
const raceDetector = true
