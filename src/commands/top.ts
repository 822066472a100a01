/** `smtpf-milter top`: the sessions of a running server as they are now, again and again. */
import { askServer } from '../control/control-client.ts';
import type { OpenSession, OpenSessions } from '../control/open-sessions.ts';
import type { Options } from '../options/option-table.ts';
import { asciiJson } from '../text/json-text.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { table } from '../text/text-table.ts';
import { latin1Of, visible } from '../text/visible.ts';
import { print } from './print.ts';
import { stopSignal } from './signals.ts';

export interface TopSwitches {
  readonly json: boolean;
  readonly once: boolean;
  /** Seconds, as given. */
  readonly interval: string | undefined;
}

const USUAL_SECONDS = 2;
const MOST_SECONDS = 3600;
/** Characters of a cell. */
const WIDEST = 40;

/**
 * Shows them until SIGINT, or the key q at a terminal.
 * @throws OperatorError when no server answers.
 */
export async function top(options: Options, { json, once, interval }: TopSwitches): Promise<number> {
  const pauseMs = readInterval(interval) * 1000;
  const stop = new AbortController();
  stopSignal().addEventListener('abort', () => stop.abort());
  const isLive = !json && !once && process.stdout.isTTY;
  if (isLive) openScreen(() => stop.abort());
  try {
    for (;;) {
      const found = await ask(options, stop.signal);
      if (found === undefined) return EXIT.ok;
      const lines = json ? [asciiJson(found)] : linesOf(found);
      const frame = isLive ? frameOf(lines) : `${lines.join('\n')}\n${json || once ? '' : '\n'}`;
      if (!(await print(Buffer.from(frame, 'latin1'))) || once) return EXIT.ok;
      await pause(pauseMs, stop.signal, isLive);
    }
  } finally {
    if (isLive) closeScreen();
  }
}

/** @throws OperatorError */
function readInterval(text: string | undefined): number {
  if (text === undefined) return USUAL_SECONDS;
  const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (seconds < 0.1 || seconds > MOST_SECONDS)
    throw new OperatorError(
      `--interval: ${JSON.stringify(text)} must be seconds, from 0.1 to ${MOST_SECONDS}`,
      EXIT.usage,
    );
  return seconds;
}

/** @returns undefined when it is to stop. */
async function ask(options: Options, stop: AbortSignal): Promise<OpenSessions | undefined> {
  for await (const { sessions } of askServer(options, { command: 'sessions' }, stop)) {
    // The server is this program: its answer has this form.
    if (!stop.aborted) return sessions as OpenSessions;
  }
  if (stop.aborted) return undefined;
  throw new OperatorError('the server has ended', EXIT.unavailable);
}

/** Latin1. */
function linesOf({ time, open, sessions, silentWorkers }: OpenSessions): string[] {
  const waiting = sessions.filter(({ callback }) => callback !== undefined).length;
  const words = [
    `${open} ${open === 1 ? 'session' : 'sessions'} open`,
    `${waiting} in a callback`,
    ...(sessions.length < open ? [`${sessions.length} shown`] : []),
    ...silentWorkers.map((worker) => `worker ${worker} does not answer`),
  ];
  const head = `${time.slice(11, 19)} UTC  ${words.join(', ')}`;
  if (sessions.length === 0) return [head];
  return [
    head,
    '',
    ...table([
      ['callback', 'for', 'age', 'worker', 'client', 'helo', 'sender', 'recipients', 'session'],
      ...sessions.map((session) => [
        session.callback ?? '-',
        session.callbackMs === undefined ? '-' : duration(session.callbackMs),
        duration(session.ageMs),
        String(session.worker),
        cell([session.ip || 'unknown', session.ptr].filter((text) => text !== '').join(' ')),
        cell(session.helo ?? '-'),
        session.sender === undefined ? '-' : cell(`<${session.sender}>`),
        recipientsOf(session),
        cell(session.queueId === undefined ? session.session : `${session.session} ${session.queueId}`),
      ]),
    ]),
  ];
}

function recipientsOf({ recipient, recipientCount }: OpenSession): string {
  if (recipient === undefined) return '-';
  return `${cell(`<${recipient}>`)}${recipientCount > 1 ? ` of ${recipientCount}` : ''}`;
}

/** What others have said, in one line and not too long; latin1. */
function cell(text: string): string {
  const letters = [...text];
  const short = letters.length > WIDEST ? `${letters.slice(0, WIDEST - 3).join('')}...` : text;
  return visible(latin1Of(short));
}

/** `340ms`, `12s`, `5m 3s`, `2h 5m` */
function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (ms < 10_000) return ms < 1000 ? `${ms}ms` : `${(ms / 1000).toFixed(1)}s`;
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
  return `${Math.floor(seconds / 3600)}h ${Math.floor(seconds / 60) % 60}m`;
}

/** Ends early with the size of the terminal too. */
function pause(milliseconds: number, stop: AbortSignal, isLive: boolean): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
      process.stdout.off('resize', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    stop.addEventListener('abort', end);
    if (isLive) process.stdout.on('resize', end);
    if (stop.aborted) end();
  });
}

/** A screen of its own, without a cursor, on which long lines are cut. */
function openScreen(quit: () => void): void {
  process.stdout.write('\x1b[?1049h\x1b[?25l\x1b[?7l');
  if (!process.stdin.isTTY) return;
  process.stdin.setRawMode(true);
  process.stdin.on('data', (keys: Buffer) => {
    // Ctrl-C and Ctrl-D are keys like others now.
    if (keys.some((key) => [3, 4, 0x51, 0x71].includes(key))) quit();
  });
}

function closeScreen(): void {
  if (process.stdin.isTTY) process.stdin.setRawMode(false);
  process.stdin.pause();
  process.stdout.write('\x1b[?7h\x1b[?25h\x1b[?1049l');
}

/** As many lines as there is room for, in the place of those before. */
function frameOf(lines: readonly string[]): string {
  const { rows } = process.stdout;
  const hidden = lines.length - rows;
  const shown = hidden > 0 ? [...lines.slice(0, rows - 1), `... ${hidden + 1} more`] : lines;
  return `\x1b[H${shown.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J`;
}
