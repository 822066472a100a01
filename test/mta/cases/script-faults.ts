/** Scripts that change, that do not compile, and that fail while they run, under each --on-error. */
import assert from 'node:assert/strict';
import {
  DATA,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  MESSAGE,
  mailWith,
  message,
  PLAIN,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  type Seen,
  type Step,
  say,
  WHOLE_SESSION,
} from '../mail-case.ts';
import type { OnError } from '../milter.ts';
import { logged } from './logged.ts';

const refuseWith = (word: string) => `function answer.rcpt() return 554, '5.7.1 ${word}' end`;
const SYNTAX_ERROR = '\n\nfunction smtp.do_rcpt(\nreturn 1 +\n';
const MAIN_CHUNK_ERROR = "\nfunction smtp.do_rcpt() return 554, 'no' end\nerror('the main chunk fails')\n";
const edit = (lua: string): Step => ({ kind: 'policy', lua });
const WHOLE: readonly Step[] = [GREETING, EHLO, MAIL, RCPT, DATA, MESSAGE, QUIT];

const SYSLOG: MailCase = {
  name: 'lines that the script logs',
  policy: `
    syslog.openlog('mypolicy', syslog.LOG_PID, syslog.LOG_MAIL)
    function answer.rcpt() syslog.info('to 100% of %s: {mark}') end
    function answer.rset() syslog.error('rset {mark}') end
    function answer.close() syslog.closelog() end`,
  sessions: [WHOLE],
  calls: [WHOLE_SESSION],
  arrives: [PLAIN_ARRIVAL],
  async check(seen) {
    const session = seen.calls[0]?.session ?? '';
    for (const text of [`to 100% of %s: ${seen.mark}`, `rset ${seen.mark}`]) {
      const [line] = await logged(seen, new RegExp(text));
      assert.ok(line?.includes(session), `the session's id is in the line: ${line}`);
      assert.match(line ?? '', /mypolicy/);
    }
  },
};

const EDITS: readonly MailCase[] = [
  {
    name: 'script edited between connections',
    policy: refuseWith('first version'),
    sessions: [
      [GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 first version'), QUIT],
      [
        edit(refuseWith('second version')),
        ...[GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 second version'), QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt rset close', 'connect helo mail rcpt rset close'],
    arrives: [],
  },
  {
    name: 'script edited in mid-session: the session keeps the one it began with',
    policy: refuseWith('first version'),
    sessions: [
      [
        ...[GREETING, EHLO, MAIL, edit(refuseWith('second version'))],
        ...[say('RCPT TO:<b@dest.test>', '554 5.7.1 first version'), QUIT],
      ],
      [GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 second version'), QUIT],
    ],
    calls: ['connect helo mail rcpt rset close', 'connect helo mail rcpt rset close'],
    arrives: [],
  },
  {
    name: 'script broken and mended between connections',
    policy: refuseWith('first version'),
    sessions: [
      [GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 first version'), QUIT],
      [edit(SYNTAX_ERROR), ...WHOLE],
      [
        edit(refuseWith('mended version')),
        ...[GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 mended version'), QUIT],
      ],
    ],
    calls: ['connect helo mail rcpt rset close', 'connect helo mail rcpt rset close'],
    arrives: [PLAIN_ARRIVAL],
  },
  {
    name: 'globals of one session are not seen in another',
    policy: 'n = (n or 0) + 1 function answer.rcpt() n = n + 1 return 554, "5.7.1 n is " .. n end',
    sessions: [
      [GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 n is 2'), QUIT],
      [GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '554 5.7.1 n is 2'), QUIT],
    ],
    calls: ['connect helo mail rcpt rset close', 'connect helo mail rcpt rset close'],
    arrives: [],
  },
];

/** `line` is the script's line that the log must name. */
function brokenScript(onError: OnError, what: string, policy: string, line: number): MailCase {
  const flows = onError === 'continue' || onError === 'accept';
  const refusal = onError === 'reject' ? /^5\d\d / : /^4\d\d /;
  const session = flows ? WHOLE : [GREETING, EHLO, say('MAIL FROM:<a@src.test>', refusal), QUIT];
  return {
    name: `${what}, --on-error ${onError}`,
    onError,
    bare: true,
    policy,
    sessions: [session, session],
    calls: [],
    arrives: flows ? [PLAIN_ARRIVAL, PLAIN_ARRIVAL] : [],
    async check(seen) {
      // A traceback may name the line again, as `policy.lua:3: in main chunk`.
      const lines = await logged(seen, new RegExp(`policy\\.lua:${line}: (?!in )`));
      assert.equal(lines.length, 1, `logged once for one version of the file\n${seen.log()}`);
    },
  };
}

function missingScript(onError: OnError): MailCase {
  const flows = onError === 'continue' || onError === 'accept';
  const refusal = onError === 'reject' ? /^5\d\d / : /^4\d\d /;
  const session = flows ? WHOLE : [GREETING, EHLO, say('MAIL FROM:<a@src.test>', refusal), QUIT];
  return {
    name: `script missing, --on-error ${onError}`,
    onError,
    bare: true,
    policy: '',
    sessions: [WHOLE, [{ kind: 'policy', lua: undefined }, ...session]],
    calls: [],
    arrives: flows ? [PLAIN_ARRIVAL, PLAIN_ARRIVAL] : [PLAIN_ARRIVAL],
    async check(seen) {
      await logged(seen, /policy\.lua.*no such file/i);
    },
  };
}

const ON_ERROR: readonly OnError[] = ['continue', 'tempfail', 'reject', 'accept'];

const BROKEN = ON_ERROR.flatMap((onError) => [
  brokenScript(onError, 'script with a syntax error', SYNTAX_ERROR, 4),
  brokenScript(onError, 'script whose main chunk fails', MAIN_CHUNK_ERROR, 3),
  missingScript(onError),
]);

/** What becomes of a message, in the words of the log. */
const VERDICTS = { continue: 'accept', tempfail: 'tempfail', reject: 'reject', accept: 'accept' } as const;

const BEFORE: Readonly<Record<string, string>> = {
  connect: 'connect',
  helo: 'connect helo',
  mail: 'connect helo mail',
  rcpt: 'connect helo mail rcpt',
  data: 'connect helo mail rcpt data',
  headers: 'connect helo mail rcpt data headers',
  chunk: 'connect helo mail rcpt data headers chunk',
  dot: 'connect helo mail rcpt data headers chunk dot',
};

/** What the client hears when `name` fails and that refuses or defers: nothing goes through. */
function refusedAt(name: string, onError: 'tempfail' | 'reject'): readonly Step[] {
  const refusal = onError === 'reject' ? /^5\d\d / : /^4\d\d /;
  const mail = say('MAIL FROM:<a@src.test>', refusal);
  switch (name) {
    case 'connect':
      return [say('', onError === 'reject' ? '554' : '220'), EHLO, mail, QUIT];
    case 'helo':
    case 'mail':
      return [GREETING, EHLO, mail, QUIT];
    case 'rcpt':
      return [GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', refusal), QUIT];
    case 'data':
      return [GREETING, EHLO, MAIL, RCPT, say('DATA', refusal), QUIT];
    default:
      return [GREETING, EHLO, MAIL, RCPT, DATA, message(PLAIN, refusal), QUIT];
  }
}

function failingCallback(onError: OnError, name: string): MailCase {
  const calls = BEFORE[name] ?? '';
  const open = !['connect', 'helo'].includes(name);
  const common = {
    name: `do_${name} fails, --on-error ${onError}`,
    onError,
    policy: `function answer.${name}() error('boom in ${name}') end`,
    async check(seen: Seen) {
      const [line] = await logged(seen, new RegExp(`policy\\.lua:\\d+: boom in ${name}`));
      assert.ok(line?.includes(seen.calls[0]?.session ?? '?'), `the session's id is in the line: ${line}`);
      const cause = `smtp\\.do_${name} failed at \\S+policy\\.lua:\\d+, --on-error ${onError} `;
      await logged(seen, new RegExp(`: ${VERDICTS[onError]}: ${cause}`));
    },
  };
  if (onError === 'tempfail' || onError === 'reject') {
    const session = refusedAt(name, onError);
    return { ...common, sessions: [session], calls: [`${calls}${open ? ' rset' : ''} close`], arrives: [] };
  }
  // accept: at connect and HELO for the session, else for the message; the policy is not asked again.
  const accepted = `${calls}${open ? ' rset' : ''} close`;
  return {
    ...common,
    sessions: [WHOLE],
    calls: [onError === 'accept' ? accepted : WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
  };
}

const FAILING: readonly MailCase[] = [
  ...ON_ERROR.flatMap((onError) => Object.keys(BEFORE).map((name) => failingCallback(onError, name))),
  ...(['rset', 'close'] as const).map((name) => ({
    name: `smtp.${name} fails: logged, and nothing else comes of it`,
    onError: 'reject' as const,
    policy: `function answer.${name}() error('boom in ${name}') end`,
    sessions: [WHOLE],
    calls: [WHOLE_SESSION],
    arrives: [PLAIN_ARRIVAL],
    async check(seen: Seen) {
      await logged(seen, new RegExp(`policy\\.lua:\\d+: boom in ${name}`));
    },
  })),
  ...['300', '999', '{}', "'later'"].map((result) => ({
    name: `a result that is no SMTP code is a script error: ${result}`,
    onError: 'tempfail' as const,
    policy: `function answer.rcpt() return ${result} end`,
    sessions: [[GREETING, EHLO, MAIL, say('RCPT TO:<b@dest.test>', '451'), QUIT]],
    calls: ['connect helo mail rcpt rset close'],
    arrives: [],
  })),
];

const FORGED = ['Authentication-Results: forged', 'Subject: plain'];
const EDITS_OF_FAILED: readonly MailCase[] = (['continue', 'accept'] as const).map((onError) => ({
  name: `what a failed callback asked for is dropped, what others did is not, --on-error ${onError}`,
  onError,
  policy: `
    function answer.headers() header.delete('Authentication-Results') header.add('X-Headers', 'kept') end
    function answer.dot()
      header.set('Subject', 'changed')
      header.add('X-Dot', 'dropped')
      smtp.add_rcpt('more@dest.test')
      smtp.set_sender('other@src.test')
      smtp.quarantine('dropped')
      body.replace('changed')
      error('boom in dot')
    end`,
  sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(mailWith(FORGED, 'Hello\r\n'), '250'), QUIT]],
  calls: [WHOLE_SESSION],
  arrives: [{ ...PLAIN_ARRIVAL, content: mailWith(['Subject: plain', 'X-Headers: kept'], 'Hello\r\n') }],
  async check(seen: Seen) {
    await logged(seen, /boom in dot .*; the changes it asked for \(6\) are dropped$/);
  },
}));

/** Policies that ask the MTA to tell of no message, and one that cannot run: messages leave their line all the same. */
const UNSEEN: readonly MailCase[] = [
  {
    name: 'a failing do_connect alone: the message says so',
    bare: true,
    policy: "\nfunction smtp.do_connect() error('boom') end\n",
    sessions: [WHOLE],
    calls: [],
    arrives: [PLAIN_ARRIVAL],
    async check(seen) {
      await logged(
        seen,
        /: \w+: client=[\w.-]+\[127\.0\.0\.1\]: accept: smtp\.do_connect failed at \S+policy\.lua:2, --on-error continue \(script /,
      );
    },
  },
  {
    name: 'a script that does not run: the message says so',
    bare: true,
    policy: SYNTAX_ERROR,
    sessions: [WHOLE],
    calls: [],
    arrives: [PLAIN_ARRIVAL],
    async check(seen) {
      await logged(
        seen,
        /: \w+: client=\S+\[127\.0\.0\.1\]: accept: the script does not run \(\S+policy\.lua:4\), --on-error continue \(script /,
      );
    },
  },
];

export const SCRIPT_FAULTS: readonly MailCase[] = [
  ...[SYSLOG, ...EDITS, ...BROKEN, ...FAILING],
  ...[...EDITS_OF_FAILED, ...UNSEEN],
];
