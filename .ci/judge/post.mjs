// node post.mjs URL SIZE FILE posts the statements of a file of JSON lines to a record store, SIZE in one request, and
// prints how many it took. Of statements with one id only the first is sent: the golden cases have the same event in
// several forms. Exit code 1 where the store refuses a request; what it said goes to standard error.
import fs from 'node:fs';

const [url, size, file] = process.argv.slice(2);
const ids = new Set();
const statements = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map(line => JSON.parse(line))
  .filter(s => !ids.has(s.id) && ids.add(s.id));
const headers = {
  'Authorization': 'Basic ' + Buffer.from('key:secret').toString('base64'),
  'Content-Type': 'application/json',
  'X-Experience-API-Version': '1.0.3',
};

// The store needs a moment to start.
for (let wait = 100; ; wait *= 2) {
  try {
    if ((await fetch(url + '/about', {headers})).status < 500) break;
  } catch (e) {
    if (wait > 20000) throw e;
  }
  await new Promise(done => setTimeout(done, wait));
}

let taken = 0, refused = 0, requests = 0;
for (let i = 0; i < statements.length; i += Number(size)) {
  const some = statements.slice(i, i + Number(size));
  const body = JSON.stringify(Number(size) === 1 ? some[0] : some);
  const answer = await fetch(url + '/statements', {method: 'POST', headers, body});
  const text = await answer.text();
  requests++;
  if (answer.ok) {
    taken += some.length;
  } else {
    refused += some.length;
    console.error(answer.status, text.slice(0, 300), body.slice(0, 300));
  }
}
console.log(`${statements.length} statements in ${requests} requests, ${refused} refused`);
process.exit(refused ? 1 : 0);
