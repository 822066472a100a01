/** A log whose lines are JSON objects behind the header that its target puts in front. */
import type { LogSink } from './log-sink.ts';
import { formatJson, type LogRecord } from './message.ts';

export class JsonSink implements LogSink {
  readonly takesFields = true;
  readonly #sink: LogSink;

  constructor(sink: LogSink) {
    this.#sink = sink;
  }

  get dropped(): number {
    return this.#sink.dropped;
  }

  write(record: LogRecord): void {
    const { fields: _, ...rest } = record;
    this.#sink.write({ ...rest, text: formatJson(record, new Date(), process.pid) });
  }

  close(): Promise<void> {
    return this.#sink.close();
  }
}
