/**
 * A good session on the same worker as an attack: how long it waits for its answers is what the attacks are judged by.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { Mta } from '../helpers/mta.ts';
import { type Span, shareOf } from '../helpers/spans.ts';
import { childrenOf } from '../program/milter-client.ts';

/**
 * What a neighbour may wait, in milliseconds, besides what the machine's other programs take. The figure that is printed
 * is what counts on a quiet machine: 20, or 50 where garbage is collected.
 */
const GENEROUS_MS = 3000;

/** How long a process and those below it have been ready to run while others had the processors, in milliseconds. */
function runDelayMs(pid: number): number {
  try {
    // `NANOSECONDS-RUN NANOSECONDS-READY SLICES`, of the main thread.
    const [, ready = '0'] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
    return childrenOf(pid).reduce((sum, child) => sum + runDelayMs(child), Number(ready) / 1e6);
  } catch {
    return 0; // It has ended.
  }
}

export class Neighbour {
  readonly #port: number;
  /** By the clock on the wall. */
  readonly #waits: Span[] = [];
  #stopped = false;
  readonly #done: Promise<void>;
  readonly #delayBefore = runDelayMs(process.pid);

  /** Holds sessions one after the other, each with a message, until `stop`. */
  constructor(port: number) {
    this.#port = port;
    this.#done = this.#live();
  }

  async #live(): Promise<void> {
    while (!this.#stopped) {
      const mta = await this.#timed(() => Mta.open({ port: this.#port }));
      await this.#timed(() => mta.connect('192.0.2.200', 'good.example'));
      await this.#timed(() => mta.helo('good.example'));
      const mail = await this.#timed(() => mta.mail('<good@good.example>'));
      assert.equal(mail.letter, 'c', `the neighbour is refused: ${mail.text}`);
      await this.#timed(() => mta.rcpt('<someone@example.com>'));
      const end = await this.#timed(() => mta.content([['Subject', ' hello']], 'hello\r\n'));
      assert.match(end.letter, /^[ca]$/, `the neighbour's message is refused: ${end.text}`);
      await mta.quit();
      mta.socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async #timed<T>(say: () => Promise<T>): Promise<T> {
    const from = performance.timeOrigin + performance.now();
    const reply = await say();
    this.#waits.push({ from, to: performance.timeOrigin + performance.now() });
    return reply;
  }

  /**
   * Ends its session, prints what it waited, and asserts that it was served all the time.
   *
   * @param collections when garbage was collected on the worker: that is nobody's turn
   */
  async stop(t: TestContext, collections: () => readonly Span[] = () => []): Promise<void> {
    this.#stopped = true;
    await this.#done;
    const spans = collections();
    if (spans.length > 0) {
      const longest = Math.max(...this.#waits.map(({ from, to }) => to - from));
      const collector = Math.max(...this.#waits.map((wait) => shareOf(wait, spans)));
      t.diagnostic(
        `with the collector at most ${longest.toFixed(1)} ms, of which ${collector.toFixed(1)} are its`,
      );
    }
    const sorted = this.#waits
      .map((wait) => wait.to - wait.from - shareOf(wait, spans))
      .sort((one, other) => one - other);
    const longest = sorted.at(-1) ?? Number.NaN;
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
    t.diagnostic(
      `the neighbour waited at most ${longest.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, in ${sorted.length} answers`,
    );
    assert.ok(sorted.length >= 6, 'the neighbour had a session');
    const delay = Math.max(0, runDelayMs(process.pid) - this.#delayBefore);
    t.diagnostic(`other programs had the processors for ${delay.toFixed(0)} ms`);
    assert.ok(longest < GENEROUS_MS + delay, `the neighbour waited ${longest.toFixed(0)} ms for an answer`);
  }
}
