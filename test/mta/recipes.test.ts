/** Every recipe of the documentation for attaching a mail server, run as it stands on a machine of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postfixUnavailable } from './postfix.ts';
import { documents, section } from './recipes/documents.ts';
import { roomUnavailable, runInRoom } from './recipes/room.ts';
import { sendmailUnavailable } from './sendmail.ts';

const IN_CI = process.env.CI === 'true';
const noRoom = roomUnavailable();

for (const [name, unavailable] of [
  ['postfix', postfixUnavailable()],
  ['sendmail', sendmailUnavailable()],
  ['service', postfixUnavailable()],
  ['tutorial', postfixUnavailable()],
] as const) {
  // Not to have namespaces is nothing that .ci/install could mend.
  const skip = noRoom ?? (IN_CI ? false : (unavailable ?? false));
  test(`${name}: every recipe works as it stands`, { skip }, () => {
    const { code, output } = runInRoom(`${name}.ts`);
    assert.equal(code, 0, output);
  });
}

test('there are no recipes but those that are tried', () => {
  const tried = ['Attaching Postfix', 'Attaching Sendmail'];
  for (const [name, text] of documents()) {
    // What doctor prints, line by line, is tried in test/doctor; a package in a root of its own, by `npm run package:test`.
    if (['docs/doctor.md', 'docs/tutorial.md', 'docs/installing.md'].includes(name)) continue;
    const chapters = name === 'README.md' ? tried : [];
    const rest = chapters.reduce((left, heading) => left.replace(section(text, heading), ''), text);
    assert.doesNotMatch(
      rest,
      /smtpd_milters|MAIL_FILTER|milter\.sock\b|--socket-group [a-z]|install -d/,
      name,
    );
  }
});
