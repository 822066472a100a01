/** A datagram socket in the place of systemd's: what a service tells of itself, message by message. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { DgramSocket } from 'node-unix-socket';

/** Far more than any message takes, on a busy machine too. */
const PATIENCE_MS = 60_000;

export class NotifySocket {
  readonly path: string;
  readonly messages: string[] = [];
  readonly #socket: DgramSocket;
  #look: (() => void) | undefined;

  constructor(t: TestContext, folder: string) {
    this.path = join(folder, 'notify');
    const native: { DgramSocket: new () => DgramSocket } = createRequire(import.meta.url)('node-unix-socket');
    this.#socket = new native.DgramSocket();
    this.#socket.on('data', (bytes: Buffer) => {
      this.messages.push(bytes.toString());
      this.#look?.();
    });
    this.#socket.bind(this.path);
    t.after(() => this.#socket.close());
  }

  /** Waits until there are messages, in the order in which they came, that `holds`. */
  async until(holds: (messages: readonly string[]) => boolean): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!holds(this.messages)) {
      if (performance.now() > end) throw new Error(`only ${JSON.stringify(this.messages)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#look = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}
