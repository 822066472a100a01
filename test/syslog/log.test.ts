import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LOG_LEVELS, Logger } from '../../src/syslog/log.ts';
import type { LogSink } from '../../src/syslog/log-sink.ts';
import type { LogRecord } from '../../src/syslog/message.ts';

describe('Logger', () => {
  it('logs what --log-level lets through', () => {
    for (const [i, level] of LOG_LEVELS.entries()) {
      const records: LogRecord[] = [];
      const sink: LogSink = {
        write: (record) => records.push(record),
        close: () => Promise.resolve(),
        dropped: 0,
      };
      const log = new Logger(sink, level);
      for (const name of LOG_LEVELS) log[name](name);
      assert.deepEqual(
        records,
        LOG_LEVELS.slice(0, i + 1).map((text, n) => ({
          facility: 2,
          severity: 3 + n,
          ident: 'smtpf-milter',
          pid: true,
          text,
        })),
      );
    }
  });
});
