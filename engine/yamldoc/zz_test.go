package yamldoc
import ("testing";"time";"strings";"fmt")
func TestZZ(t *testing.T){
 for name, text := range map[string]string{"a":strings.Repeat("a",4096),"nl":strings.Repeat("\n",4096),"a nl":strings.Repeat("a\n",2048),"sp":strings.Repeat(" ",4096),"a sp":strings.Repeat("a ",2048),"nul":strings.Repeat("\x00",4096),"q":strings.Repeat("'",4096),"sp nl":strings.Repeat(" \n",2048),"tab":strings.Repeat("\t",4096),"bad":strings.Repeat("\xff",4096)} {
  for _, st := range []style{plain, singleQuoted, doubleQuoted, literal, folded} {
   t0:=time.Now(); checkWritten(t, 3, st, text); if d:=time.Since(t0); d>200*time.Millisecond {fmt.Println("written",name,st,d)}
  }
  for _, es := range emittedStyles { t0:=time.Now(); if !strings.HasPrefix(name,"bad"){checkEmitted(t, es, text)}; if d:=time.Since(t0); d>200*time.Millisecond {fmt.Println("emitted",name,es,d)} }
 }
}
func TestZZParse(t *testing.T){
 for name, src := range map[string]string{
  "comments": strings.Repeat("# c\n",MaxBytes/4),"comments indented":"a:\n"+strings.Repeat("  # c\n",MaxBytes/6-9)+"  b: 1\n",
  "keys":func()string{var b strings.Builder;for i:=0;b.Len()<MaxBytes-40;i++{fmt.Fprintf(&b,"key%d: value\n",i)};return b.String()}(),
  "seq":strings.Repeat("- \n",MaxBytes/3),"flow":"[" +strings.Repeat("a,",MaxBytes/2-2)+"]","blank block":"a: |2\n"+strings.Repeat("   \n",MaxBytes/4-3),
  "ramp":func()string{var b strings.Builder;b.WriteString("a: |1\n");for i:=1;b.Len()<MaxBytes-2000;i++{b.WriteString(strings.Repeat(" ",i%900)+"\n")};return b.String()}(),
  "err end": strings.Repeat("a: b\n",MaxBytes/5-4)+"\tx: @\n","err flow":strings.Repeat("[",9000),"err flow2":strings.Repeat("[a, ",250000),"openquote":"a: \""+strings.Repeat("x ",MaxBytes/2-9),
  "bad keys": strings.Repeat("1: a\n",MaxBytes/5), "nested seq": strings.Repeat("- ",9000)+"a", "comments err": strings.Repeat("# c\n",MaxBytes/4-3)+"a: @\n", "anchors":strings.Repeat("- &a\n",MaxBytes/5), "quoted lines":"a: '"+strings.Repeat("\n",MaxBytes-9)+"'", "colons": "a: "+strings.Repeat("b:",MaxBytes/2-9)} {
  t0:=time.Now(); f,l:=Parse("f",[]byte(src)); fmt.Println("parse",name,len(src),f!=nil,len(l),time.Since(t0).Round(time.Millisecond))
 }
}
