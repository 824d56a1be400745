package main

import "github.com/erbd/erbd/engine/workload"

// The sample events: a small one of paths and known functions, and a larger one with real expressions.
const (
	playVideo    = `{"name":"play_video","timestamp":"2023-02-03T14:18:20.089151+00:00","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0","client_id":null,"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","course_user_tags":{},"event_source":"browser","host":"learn.openacademy.example","ip":"192.0.2.11","org_id":"OpenAcademy","page":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/cells/","path":"/event","referer":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/cells/?activate_block_id=block-v1%3AOpenAcademy%2BBIO101","session":"c9f0f895fb98ab9159f51fd0297e236d","user_id":11,"username":"amara","asides":{}},"data":{"id":"e8a8bb1da9ab4f4dbd6dfb1b9a35f5ee","code":"html5","duration":412.5,"currentTime":69.855595,"current_time":69.855595}}`
	problemCheck = `{"name":"problem_check","timestamp":"2022-12-16T07:48:00.021614+00:00","context":{"accept_language":"en-US,en;q=0.9","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0","client_id":null,"course_id":"course-v1:OpenAcademy+BIO101+2026_T1","course_user_tags":{},"event_source":"server","host":"learn.openacademy.example","ip":"192.0.2.11","module":{"display_name":"Organelles","usage_key":"block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd38f1a03af88ed10074689227731e"},"org_id":"OpenAcademy","page":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/quiz/","path":"/courses/course-v1:OpenAcademy+BIO101+2026_T1/xblock/block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd38f1a03af88ed10074689227731e/handler/xmodule_handler/problem_check","referer":"https://learn.openacademy.example/courses/course-v1:OpenAcademy+BIO101+2026_T1/courseware/week1/quiz/","session":"c9f0f895fb98ab9159f51fd0297e236d","user_id":11,"username":"amara"},"data":{"answers":{"9dfd38f1a03af88ed10074689227731e_2_1":"mitochondria"},"attempts":1,"correct_map":{"9dfd38f1a03af88ed10074689227731e_2_1":{"answervariable":null,"correctness":"correct","hint":"","hintmode":null,"msg":"","npoints":null,"queuestate":null}},"grade":2,"max_grade":5,"problem_id":"block-v1:OpenAcademy+BIO101+2026_T1+type@problem+block@9dfd38f1a03af88ed10074689227731e","state":{"correct_map":{},"done":null,"has_saved_answers":false,"input_state":{"9dfd38f1a03af88ed10074689227731e_2_1":{}},"score":{"raw_earned":0,"raw_possible":1},"seed":1,"student_answers":{}},"submission":{"9dfd38f1a03af88ed10074689227731e_2_1":{"answer":"mitochondria","correct":true,"group_label":"","input_type":"textline","question":"What makes most of the energy of a cell?","response_type":"stringresponse","variant":""}},"success":"correct"}}`
)

// share is the part of an event in the mix of a real site.
type share struct {
	name   string
	weight int
	event  string
}

// mix is what a site with many courses sends.
func mix() ([]share, error) {
	m, err := workload.Load()
	if err != nil {
		return nil, err
	}
	var shares []share
	for _, s := range m.Shares() {
		shares = append(shares, share{s.String(), s.Weight, string(s.Event)})
	}
	return shares, nil
}
