package lint

import (
	"slices"
	"strings"

	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/yamldoc"
)

// caliperActions are the actions that Caliper 1.2 allows for each type of event; an Event may have any of them.
var caliperActions = func() map[string][]string {
	m := map[string][]string{}
	for _, line := range strings.Split(strings.TrimSpace(`
AnnotationEvent Shared Tagged Bookmarked Highlighted
AssessmentEvent Started Restarted Resumed Submitted Reset Paused
AssessmentItemEvent Started Completed Skipped
AssignableEvent Started Submitted Completed Activated Deactivated Reviewed
Event Abandoned Accepted Activated Added Archived Attached Bookmarked ChangedResolution ChangedSize ChangedSpeed ChangedVolume Classified ClosedPopout Commented Completed Copied Created Deactivated Declined Deleted Described DisabledClosedCaptioning Disliked Downloaded EnabledClosedCaptioning Ended EnteredFullScreen ExitedFullScreen ForwardedTo Graded Hid Highlighted Identified JumpedTo Launched Liked Linked LoggedIn LoggedOut MarkedAsRead MarkedAsUnread Modified Muted NavigatedTo OpenedPopout OptedIn OptedOut Paused Posted Printed Published Questioned Ranked Recommended Removed Reset Restarted Restored Resumed Retrieved Returned Reviewed Rewound Saved Searched Sent Shared Showed Skipped Started Submitted Subscribed Tagged TimedOut Unmuted Unpublished Unsubscribed Uploaded Used Viewed
FeedbackEvent Commented Ranked
ForumEvent Subscribed Unsubscribed
GradeEvent Graded
MediaEvent Started Ended Paused Resumed Restarted ForwardedTo JumpedTo ChangedResolution ChangedSize ChangedSpeed ChangedVolume EnabledClosedCaptioning DisabledClosedCaptioning EnteredFullScreen ExitedFullScreen Muted Unmuted OpenedPopout ClosedPopout
MessageEvent MarkedAsRead MarkedAsUnread Posted
NavigationEvent NavigatedTo
QuestionnaireEvent Started Submitted
QuestionnaireItemEvent Started Completed Skipped
ResourceManagementEvent Archived Copied Created Deleted Described Downloaded Modified Printed Published Restored Retrieved Saved Unpublished Uploaded
SearchEvent Searched
SessionEvent LoggedIn LoggedOut TimedOut
SurveyEvent OptedIn OptedOut
SurveyInvitationEvent Accepted Declined Sent
ThreadEvent MarkedAsRead MarkedAsUnread
ToolLaunchEvent Launched Returned
ToolUseEvent Used
ViewEvent Viewed`), "\n") {
		words := strings.Fields(line)
		m[words[0]] = words[1:]
	}
	return m
}()

// actions checks the types and actions that a file writes as literals: beside its events, and in its statements.
func (l *linter) actions(f *file) {
	if events := f.root.Get("events"); events != nil {
		for _, e := range events.Entries {
			l.action(e.Value.Get("type"), e.Value.Get("action"))
		}
	}
	base := f.root.Get("statement")
	l.action(base.Get("type"), base.Get("action"))
	if alternatives := f.root.Get("alternatives"); alternatives != nil {
		for _, a := range alternatives.Items {
			s := a.Get("statement")
			kind, action := s.Get("type"), s.Get("action")
			if kind == nil {
				kind = base.Get("type")
			}
			l.action(kind, action)
		}
	}
}

func (l *linter) action(kind, action *yamldoc.Node) {
	literal := func(n *yamldoc.Node) bool {
		return n != nil && n.Kind == yamldoc.Scalar && n.Tag == yamldoc.String && !strings.Contains(n.Text, "${")
	}
	if !literal(kind) {
		return
	}
	allowed, known := caliperActions[kind.Text]
	if !known {
		var types []string
		for t := range caliperActions {
			types = append(types, t)
		}
		slices.Sort(types)
		l.fault(kind, diag.Error, CodeEventType, "Caliper 1.2 has no type of event %q", kind.Text).Hint = diag.DidYouMean(kind.Text, types)
		return
	}
	if !literal(action) || slices.Contains(allowed, action.Text) {
		return
	}
	d := l.fault(action, diag.Error, CodeAction, "Caliper 1.2 does not allow the action %q for %s", action.Text, kind.Text)
	if d.Hint = diag.DidYouMean(action.Text, allowed); d.Hint == "" && len(allowed) <= 20 {
		d.Hint = "allowed: " + strings.Join(allowed, ", ")
	}
}
