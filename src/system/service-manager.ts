/**
 * What systemd is told of the program's life (sd_notify(3)): that it serves, that it reads its policy anew, that it ends,
 * and, where the unit has WatchdogSec=, that it is not stuck.
 *
 * Each message is a datagram of its own, from the process that systemd knows as the main one. node-unix-socket sends it at
 * once or not at all: see src/syslog/unix-carrier.ts for what becomes of a socket whose receiver is full. Nothing waits
 * for systemd, and nothing fails with it, but what went wrong first is said.
 */
import { createRequire } from 'node:module';
import type { DgramSocket } from 'node-unix-socket';
import { visible } from '../text/visible.ts';

/** Pings for each time after which systemd would act. */
const PINGS = 3;

export class ServiceManager {
  readonly #path: string | undefined;
  readonly #watchdogMs: number | undefined;
  readonly #complain: (message: string) => void;
  #pinging: NodeJS.Timeout | undefined;
  #hasComplained = false;

  /** @param path undefined: nobody wants to be told @param watchdogMs undefined: nobody watches */
  constructor(path: string | undefined, watchdogMs: number | undefined, complain: (message: string) => void) {
    this.#path = path;
    this.#watchdogMs = watchdogMs;
    this.#complain = complain;
  }

  /** Takes what it must know out of the environment: workers and policies have nothing to tell. */
  static of(
    complain: (message: string) => void,
    environment = process.env,
    pid = process.pid,
  ): ServiceManager {
    const { NOTIFY_SOCKET: path = '', WATCHDOG_USEC: microseconds = '', WATCHDOG_PID: watched } = environment;
    for (const variable of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[variable];
    if (path === '') return new ServiceManager(undefined, undefined, complain);
    const isWatched =
      /^[1-9]\d{0,14}$/.test(microseconds) && (watched === undefined || watched === String(pid));
    return new ServiceManager(path, isWatched ? Number(microseconds) / 1000 : undefined, complain);
  }

  /** @param status latin1; `systemctl status` shows it in one line */
  ready(status: string): void {
    this.#tell(`READY=1\nSTATUS=${visible(status)}`);
    if (this.#watchdogMs === undefined || this.#path === undefined || this.#pinging !== undefined) return;
    const between = Math.max(Math.floor(this.#watchdogMs / PINGS), 1);
    this.#pinging = setInterval(() => this.#tell('WATCHDOG=1'), between).unref();
  }

  /** `ready` must follow. */
  reloading(): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(status: string): void {
    this.#tell(`STOPPING=1\nSTATUS=${visible(status)}`);
  }

  #tell(message: string): void {
    if (this.#path === undefined) return;
    const problem = send(this.#path, message);
    if (problem === undefined || this.#hasComplained) return;
    this.#hasComplained = true;
    this.#complain(`NOTIFY_SOCKET ${this.#path}: systemd could not be told: ${problem}`);
  }
}

/** @returns what went wrong */
function send(path: string, message: string): string | undefined {
  // node-unix-socket reaches no socket that is a name alone (`@...`); systemd itself listens on a file.
  if (!path.startsWith('/')) return 'only a socket with a path can be used';
  const bytes = Buffer.from(message, 'latin1');
  let outcome: string | undefined = 'it does not read';
  let socket: DgramSocket | undefined;
  try {
    const native: { DgramSocket: new () => DgramSocket } = createRequire(import.meta.url)('node-unix-socket');
    socket = new native.DgramSocket();
    socket.on('error', () => {});
    socket.sendTo(bytes, 0, bytes.length, path, (error) => {
      outcome = error?.message;
    });
  } catch (error) {
    outcome = String(error).split('\n')[0];
  }
  socket?.close();
  return outcome;
}
