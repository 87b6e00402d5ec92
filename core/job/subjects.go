package job

import (
	"hash/fnv"
	"strconv"
	"strings"
)

// Subjects of the messages between roles.
const (
	SubjectTask    = "task.changed"    // gateway → controllers: + partition, a task that wants a decision
	SubjectReady   = "work.ready"      // controller → matcher: ids of work that may be granted
	SubjectWant    = "work.want"       // worker → matcher: Want, answered by Grants
	SubjectCall    = "work.call"       // new matcher → workers: offers that stand are unknown to it
	SubjectRenew   = "work.renew"      // worker → controller: Renewal, answered by Refusals
	SubjectStop    = "work.stop."      // controller → worker: + worker name, trace ids
	SubjectStatus  = "work.status"     // anybody → matcher: what waits, who offers, why not
	SubjectControl = "control.changed" // gateway → everybody: a setting has changed
	SubjectEvents  = "events."         // + task id: what is shown live
	SubjectEnded   = "ended."          // controller → gateway: + gateway name, the task id
	SubjectPosts   = "posts"           // controller → results: something is in the outbox
	StreamAnswers  = "answers"         // durable, worker → controller: Answer, of workers that know no partitions
	StreamAnswered = "answered"        // durable, worker → controller: Answer, on answered.<partition>
	StreamResults  = "results"         // durable, relay → callers: callbacks, on results.<tenant>
)

// Partitions is how many parts tasks are shared out in between controllers.
// Every process must count alike: it is part of the protocol.
const Partitions = 16

// Partition is a task's part, from its id.
func Partition(taskID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(taskID)) // cannot fail
	return int(h.Sum32() % Partitions)
}

// TaskSubject is where a change of a task is announced.
func TaskSubject(taskID string) string {
	return SubjectTask + "." + strconv.Itoa(Partition(taskID))
}

// AnswerSubject is where answers about a task's work go.
func AnswerSubject(taskID string) string {
	return StreamAnswered + "." + strconv.Itoa(Partition(taskID))
}

// ResultSubject is a tenant's part of the result queue. What may not stand in
// a subject is replaced.
func ResultSubject(tenant string) string {
	return StreamResults + "." + strings.Map(func(r rune) rune {
		if r <= ' ' || r == '.' || r == '*' || r == '>' || r >= 0x7f {
			return '_'
		}
		return r
	}, tenant)
}
