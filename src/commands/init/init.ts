/** `smtpf-milter init`: writes a first policy from the ready ones, with its tests and what an editor needs. */
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { formatStubs } from '../../api/stubs.ts';
import {
  type BoundAddress,
  type ListenAddress,
  mainCfLine,
  sendmailMcLine,
} from '../../net/listen-address.ts';
import type { Options } from '../../options/option-table.ts';
import { PACKAGED_CONFIG, PACKAGED_SOCKET, READY_POLICIES } from '../../options/options.ts';
import { nearest } from '../../text/nearest.ts';
import { codeOf, EXIT, OperatorError, systemReason } from '../../text/operator-error.ts';
import { visibleText } from '../../text/visible.ts';
import { ANY_DOMAIN, firstPolicy, POLICY_FOLDER, readyPolicies, SENSIBLE } from './first-policy.ts';

/** As the command line has them. */
export interface InitRequest {
  readonly directory: string;
  readonly with?: string;
  readonly domain?: string;
  readonly list: boolean;
  readonly json: boolean;
}

const SCRIPT = 'smtpf.lua';
const CLAMD = 'unix:/run/clamav/clamd.ctl';

/**
 * @param options with `config` where a service has its options from a file: what is said next is about that service
 * @returns the exit code
 * @throws OperatorError, and then there is no file that was not there before
 */
export async function init(options: Options, request: InitRequest): Promise<number> {
  if (request.list) return print(request.json ? listJson() : listText());
  const given = request.with === undefined && !request.json && isDialogue() ? await ask(request) : request;
  const policies = namesIn(given.with ?? SENSIBLE.join());
  const domain = domainIn(given.domain ?? ANY_DOMAIN);
  const { script, tests } = firstPolicy(policies, domain);
  const files = {
    [SCRIPT]: script,
    [SCRIPT.replace('.lua', '_test.lua')]: tests,
    '.luarc.json': `${JSON.stringify(editorSettings(), undefined, 2)}\n`,
    'smtpf.d.lua': formatStubs(),
  };
  const written = writeAll(request.directory, files);
  const next = nextSteps(options, request.directory, policies.includes('antivirus'));
  const result = { policies, domain, files: written, ...next };
  const hasUnread = options.config === undefined && existsSync(PACKAGED_CONFIG);
  return print(request.json ? `${JSON.stringify(result, undefined, 2)}\n` : initText(result, hasUnread));
}

function isDialogue(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true;
}

async function print(text: string): Promise<number> {
  await new Promise<void>((done) => {
    process.stdout.write(text, () => done()); // A pipe takes it in pieces; the program ends soon.
  });
  return EXIT.ok;
}

async function ask(request: InitRequest): Promise<Pick<InitRequest, 'with' | 'domain'>> {
  const dialogue = createInterface({ input: process.stdin, output: process.stdout });
  const answers = dialogue[Symbol.asyncIterator]();
  const question = async (text: string, otherwise: string): Promise<string> => {
    process.stdout.write(`${text} [${otherwise}]: `);
    const { value, done } = await answers.next();
    if (done) throw new OperatorError('init: no answer, so nothing was written', EXIT.usage);
    return String(value).trim() || otherwise;
  };
  try {
    process.stdout.write(`${listText()}\n`);
    const names = await question('Which of them, with commas between', SENSIBLE.join());
    namesIn(names);
    const domain = request.domain ?? (await question('Your domain', ANY_DOMAIN));
    return { with: names, domain };
  } finally {
    dialogue.close();
  }
}

function namesIn(text: string): string[] {
  const known = readyPolicies().map(({ name }) => name);
  const names = text
    .split(/[,\s]+/)
    .filter((name) => name !== '')
    .map((name) => name.replace(/^policy\./, '').replaceAll('-', '_'));
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    const hint = near === undefined ? ` (there are ${known.join(', ')})` : ` (did you mean ${near}?)`;
    throw new OperatorError(`--with: no policy ${JSON.stringify(name)}${hint}`, EXIT.usage);
  }
  if (names.length === 0) throw new OperatorError('--with: names no policy', EXIT.usage);
  return known.filter((name) => names.includes(name));
}

function domainIn(text: string): string {
  const domain = text.toLowerCase();
  const label = '(?!-)[a-z0-9-]{1,63}(?<!-)';
  if (domain.length <= 253 && new RegExp(`^${label}(\\.${label})+$`).test(domain)) return domain;
  throw new OperatorError(
    `--domain: ${JSON.stringify(text)} must be a domain, such as ${ANY_DOMAIN}`,
    EXIT.usage,
  );
}

/** For LuaLS: the annotations of the ready policies, and that a policy's callbacks may stand in several files. */
function editorSettings(): Readonly<Record<string, unknown>> {
  return {
    'runtime.version': 'Lua 5.3',
    'workspace.library': [READY_POLICIES],
    'diagnostics.disable': ['duplicate-set-field'],
  };
}

/** All or nothing. @returns their paths */
function writeAll(directory: string, files: Readonly<Record<string, string>>): string[] {
  const paths = Object.keys(files).map((name) => join(directory, name));
  const there = paths.filter((path) => existsSync(path));
  if (there.length > 0) {
    const which = there.map((path) => visibleText(path)).join(', ');
    throw new OperatorError(
      `init: ${which}: there already, and left as it is: name another folder`,
      EXIT.cannotCreate,
    );
  }
  const written: string[] = [];
  try {
    mkdirSync(directory, { recursive: true });
    for (const [name, text] of Object.entries(files)) {
      const path = join(directory, name);
      const descriptor = openSync(path, 'wx', 0o644);
      written.push(path);
      try {
        writeSync(descriptor, text);
      } finally {
        closeSync(descriptor);
      }
    }
  } catch (error) {
    for (const path of written) rmSync(path, { force: true });
    const reason = codeOf(error) === 'EEXIST' ? 'there already' : systemReason(error);
    throw new OperatorError(`init: ${visibleText(directory)}: ${reason}`, EXIT.cannotCreate);
  }
  return written;
}

interface NextSteps {
  /** What it is for, and what to run. */
  readonly next: string;
  readonly commands: readonly string[];
  /** What else the config file of the service must have. */
  readonly config: readonly string[];
  readonly mainCf: readonly string[];
  readonly sendmailMc: readonly string[];
  readonly doctor: string;
}

function nextSteps(options: Options, directory: string, needsClamd: boolean): NextSteps {
  const quoted = (path: string) =>
    /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
  const script = join(directory, SCRIPT);
  const { config, listen } = options;
  const ofService = config === undefined ? '' : ` --config ${quoted(config)}`;
  const clamd = needsClamd && options.clamd === undefined;
  const look = [
    `smtpf-milter check${ofService} ${quoted(script)}`,
    `smtpf-milter test ${quoted(directory)}`,
    `smtpf-milter try ${quoted(script)} --ip 198.51.100.7`,
  ];
  const bound = boundOf(listen[0]);
  const rest = {
    config: config !== undefined && clamd ? [`"clamd": "${CLAMD}"`] : [],
    mainCf: [mainCfLine(bound), 'milter_default_action = tempfail'],
    sendmailMc: [sendmailMcLine(bound)],
    doctor: `smtpf-milter doctor${ofService}`,
  };
  if (config === undefined) {
    const serve = `smtpf-milter serve --script ${quoted(resolve(script))} --on-error tempfail`;
    const commands = [...look, clamd ? `${serve} --clamd ${CLAMD}` : serve];
    return { next: 'Next, look at it, and start the milter:', commands, ...rest };
  }
  const reload = `smtpf-milter reload${ofService}`;
  if (resolve(script) === options.script)
    return { next: 'Next, look at it, and have the milter take it:', commands: [...look, reload], ...rest };
  // What is there is kept, with ~ behind its name.
  const install = (from: string, to: string) =>
    `install --backup=simple -m 0644 ${quoted(from)} ${quoted(to)}`;
  const tests = (path: string) => path.replace(/(\.lua)?$/, '_test.lua');
  return {
    next: 'Next, look at it, put it in the place of the policy that serves, and have the milter take it, as root:',
    commands: [
      ...look,
      install(resolve(script), options.script),
      install(tests(resolve(script)), tests(options.script)),
      reload,
    ],
    ...rest,
  };
}

/** As an MTA finds it; of a socket that systemd keeps, where the unit of the package has it. */
function boundOf(address: ListenAddress | undefined): BoundAddress {
  if (address === undefined || address.kind === 'handed') return { kind: 'unix', path: PACKAGED_SOCKET };
  if (address.kind === 'unix') return address;
  const { host, family, port } = address;
  return family === 'inet6'
    ? { kind: 'inet6', address: host ?? '::', port }
    : { kind: 'inet4', address: host ?? '0.0.0.0', port };
}

function initText(
  result: NextSteps & {
    readonly policies: readonly string[];
    readonly domain: string;
    readonly files: readonly string[];
  },
  hasUnread: boolean,
): string {
  const { policies, domain, files, next, commands, config, mainCf, sendmailMc, doctor } = result;
  const lines = (list: readonly string[]) => list.map((line) => `  ${visibleText(line)}\n`).join('');
  const placeholder =
    domain === ANY_DOMAIN
      ? `\n${ANY_DOMAIN} stands for your domain in it: put yours in, or use --domain.\n`
      : '';
  const unread = hasUnread
    ? `\nThis is for a milter of its own: the options of the service are in ${PACKAGED_CONFIG}, which this user may not read.\n`
    : '';
  const inConfig =
    config.length === 0
      ? ''
      : `\nIt needs this in the config file (then: systemctl restart smtpf-milter):\n\n${lines(config)}`;
  return `A policy of ${policies.join(', ')}:

${lines(files)}${placeholder}${inConfig}
${next}

${lines(commands)}${unread}
Postfix, in main.cf (then: postfix reload):

${lines(mainCf)}
Or Sendmail, in sendmail.mc (then: make -C /etc/mail, and a restart):

${lines(sendmailMc)}
${visibleText(doctor)} looks at both sides when they run.
`;
}

function listText(): string {
  const policies = readyPolicies();
  const width = Math.max(...policies.map(({ name }) => name.length));
  const rows = policies.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `${rows.join('')}\nThey are in ${visibleText(POLICY_FOLDER)}\n`;
}

function listJson(): string {
  return `${JSON.stringify({ folder: POLICY_FOLDER, policies: readyPolicies() }, undefined, 2)}\n`;
}
