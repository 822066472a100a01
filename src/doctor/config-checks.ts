/** Whether the server that runs has the options of the config file. */
import { statSync } from 'node:fs';
import { deadlinesOf } from '../control/status.ts';
import { type BoundAddress, formatListenAddress, type ListenAddress } from '../net/listen-address.ts';
import type { Options } from '../options/option-table.ts';
import { latin1Of } from '../text/visible.ts';
import { seconds } from './both.ts';
import { look, shell } from './finding.ts';
import { addressesOf, type Scene } from './scene.ts';

/** What the server has beside what the file says. */
interface Difference {
  readonly option: string;
  readonly has: string;
  readonly file: string;
}

/** The file counts at a start: an edit of it, or another file, is told by what the running server says of itself. */
export async function checkConfig(scene: Scene): Promise<void> {
  const { options, running, findings } = scene;
  const { config } = options;
  if (config === undefined || running === undefined) return;
  const differences = [
    ...differenceOf('--script', running.script.path, latin1Of(options.script)),
    ...differenceOf('--on-error', running.script.onError, options.onError),
    ...differencesOfDeadlines(scene),
    ...(await differenceOfListen(scene.addresses, options.listen)),
  ];
  if (differences.length > 0) {
    const told = differences.map(({ option, has, file }) => `${option} ${has}, where the file has ${file}`);
    findings.add({
      id: 'server-options',
      severity: 'warning',
      where: config,
      problem: `the server that runs has ${told.join('; ')}: the file was edited after its start, or it was started with other options`,
      mend: [shell('systemctl restart smtpf-milter'), look(`ps -o args= -p ${running.pid}`)],
    });
    return;
  }
  if (isNewer(config, Date.parse(running.startedAt)))
    findings.note(
      config,
      'was written after the server was started: what it says counts from the next start on (systemctl restart smtpf-milter)',
    );
}

function differenceOf(option: string, has: string, file: string): Difference[] {
  return has === file ? [] : [{ option, has, file }];
}

function differencesOfDeadlines({ running, options }: Scene): Difference[] {
  const has = running?.deadlines;
  // A server of an older version does not tell.
  if (has === undefined) return [];
  const file = deadlinesOf(options);
  return [
    ...differenceOf('--deadline', seconds(has.callbackMs), seconds(file.callbackMs)),
    ...differenceOf('--eom-deadline', seconds(has.endOfMessageMs), seconds(file.endOfMessageMs)),
  ];
}

/** Of sockets that systemd keeps, of ports that the system chooses and of names that cannot be looked up nothing is known. */
async function differenceOfListen(
  has: readonly BoundAddress[],
  listen: Options['listen'],
): Promise<Difference[]> {
  if (listen.some((address) => address.kind === 'handed' || (address.kind === 'inet' && address.port === 0)))
    return [];
  const each = await Promise.all(listen.map((address) => addressesOf([address])));
  if (each.some((found) => found.length === 0)) return [];
  const served = new Set(has.map(formatListenAddress));
  // Of a name with several addresses the server may have taken one.
  const isServed = each.every((found) => found.some((address) => served.has(formatListenAddress(address))));
  const wanted = new Set(each.flat().map(formatListenAddress));
  if (isServed && [...served].every((address) => wanted.has(address))) return [];
  return [{ option: '--listen', has: [...served].join(' '), file: writtenIn(listen) }];
}

function writtenIn(listen: readonly ListenAddress[]): string {
  return listen.map(({ written }) => written).join(' ');
}

function isNewer(path: string, time: number): boolean {
  try {
    return statSync(path).mtimeMs > time;
  } catch {
    return false;
  }
}
