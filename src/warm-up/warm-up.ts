/**
 * Makes a new process fast before mail comes.
 *
 * V8 compiles what runs often, while it runs: the first sessions of a process cost ten times as much as later ones, and
 * two seconds of CPU time go by before that is over. So a process that has nothing to do serves itself: an MTA's side in
 * this file, and on the other end all that serves real connections, with a policy of its own. Whatever comes from an MTA
 * goes first.
 */
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { SessionStats } from '../control/session-stats.ts';
import type { PolicyFactory } from '../milter/policy.ts';
import { Connection, type ConnectionSettings } from '../net/connection.ts';
import { type BoundAddress, type ListenAddress, parseListenAddress } from '../net/listen-address.ts';
import { bindAll, type Listener, listenUnix } from '../net/listener.ts';
import { Server } from '../net/server.ts';
import type { Options } from '../options/option-table.ts';
import { openPolicySource, type PolicySource, servicesOf } from '../policy/policy-source.ts';
import type { Spool } from '../spool/message-file.ts';
import { Logger } from '../syslog/log.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import { type Turns, warmUpSessions } from './mta-side.ts';
import { WARM_UP_POLICY } from './policy.ts';

export interface WarmUpSettings {
  readonly spool: Spool;
  readonly options: Options;
  /** What real connections have, but for policies and log. */
  readonly settingsOf: (policies: PolicyFactory, log: Logger) => ConnectionSettings;
  /** Whether this process has nothing else to do. */
  readonly idle: () => boolean;
  readonly stop: AbortSignal;
}

const BUSY_LOOK_MS = 100;

const LOOPBACK: ListenAddress = parseListenAddress('inet:0@127.0.0.1');

const NOWHERE: LogSink = { write: () => {}, close: async () => {}, dropped: 0 };

/** As after an edit: how a script begins to serve is code too. */
const SESSIONS_OF_A_SCRIPT = 250;

/**
 * Ends when `options.warmUpSessions` are over or `stop` fires.
 * @throws what the system says where there can be no such sockets, and the reason of `stop`.
 */
export async function warmUp(settings: WarmUpSettings): Promise<void> {
  const { spool, settingsOf, idle, stop } = settings;
  const options = { ...settings.options, script: spool.path('lua'), allowJs: false, allowExecute: false };
  writeFileSync(options.script, WARM_UP_POLICY, { flag: 'wx', mode: 0o600 });
  try {
    const listeners = await listen(settings);
    const sessions = warmUpSessions();
    const log = new Logger(NOWHERE, options.logLevel);
    let policies = quietPolicies(options, log);
    const connection = settingsOf({ open: (session) => policies.open(session) }, log);
    const server = new Server(listeners, {
      maxConnections: 0,
      serve: (socket) => new Connection(socket, connection),
      warn: () => {},
    });
    try {
      for (let count = 0; count < options.warmUpSessions; count++) {
        while (!idle()) await pause(BUSY_LOOK_MS, undefined, { signal: stop });
        if (count % SESSIONS_OF_A_SCRIPT === 0) policies = quietPolicies(options, log);
        const turns = sessions[count % sessions.length];
        for (const { address } of listeners) await play(connectTo(address), turns ?? [], stop);
      }
    } finally {
      await server.shutdown(0, stop);
    }
  } finally {
    rmSync(options.script, { force: true });
  }
}

/** Sockets of the kinds that real connections come on, which are different code in Node.js. */
async function listen({ spool, options }: WarmUpSettings): Promise<Listener[]> {
  const access = { mode: 0o600, uid: undefined, gid: undefined };
  const listeners: Listener[] = [];
  try {
    if (options.listen.some(({ kind }) => kind === 'unix')) {
      listeners.push(await listenUnix(spool.path('sock'), access));
    }
    if (options.listen.some(({ kind }) => kind !== 'unix')) {
      listeners.push(...(await bindAll([LOOPBACK], access)));
    }
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
  return listeners;
}

function connectTo(address: BoundAddress): Socket {
  return address.kind === 'unix'
    ? connect(address.path)
    : connect({ host: address.address, port: address.port, noDelay: true });
}

/** The policy of policy.ts, with which nothing is told to anybody. */
function quietPolicies(options: Options, log: Logger): PolicySource {
  return openPolicySource({
    options,
    log,
    services: servicesOf(options, NOWHERE, log),
    spool: '',
    sessions: new SessionStats(log),
  });
}

/** Says the turns of a session, each after the reply to the one before. */
async function play(socket: Socket, turns: Turns, stop: AbortSignal): Promise<void> {
  let next = 0;
  const say = (): void => {
    const turn = turns[next];
    next += 1;
    if (turn) socket.write(turn);
  };
  socket.on('data', say);
  socket.on('error', () => {});
  say();
  try {
    await once(socket, 'close', { signal: stop });
  } finally {
    socket.destroy();
  }
}
