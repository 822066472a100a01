import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  escapeText,
  formatConsole,
  formatJournal,
  formatSyslog,
  formatTag,
  formatTimestamp,
  type LogRecord,
  priority,
} from '../../src/syslog/message.ts';

const record: LogRecord = { facility: 2, severity: 6, ident: 'smtpf', pid: true, text: 'hello' };
const time = new Date(2026, 10, 5, 4, 2, 1, 7);

describe('priority', () => {
  it('is the number of RFC 3164: mail.info is 22, local7.debug 191', () => {
    assert.equal(priority(2, 6), 22);
    assert.equal(priority(23, 7), 191);
    assert.equal(priority(0, 0), 0);
  });
});

describe('formatTimestamp', () => {
  it('pads the day with a space', () => {
    assert.equal(formatTimestamp(time), 'Nov  5 04:02:01');
    assert.equal(formatTimestamp(new Date(2026, 0, 31, 23, 59, 59)), 'Jan 31 23:59:59');
  });
});

describe('formatTag', () => {
  it('has the process id in brackets', () => {
    assert.equal(formatTag('smtpf', 17), 'smtpf[17]:');
    assert.equal(formatTag('postfix/smtpd', null), 'postfix/smtpd:');
  });
  it('keeps an ident from ending early or starting a line of its own', () => {
    assert.equal(formatTag('a b:c[1]\n\xe9', 17), 'a_b_c_1___[17]:');
    assert.equal(formatTag('', null), '-:');
    assert.equal(formatTag('x'.repeat(100), null), `${'x'.repeat(48)}:`);
  });
});

describe('escapeText', () => {
  it('writes controls in octal, as rsyslog does', () => {
    assert.equal(escapeText('a\nb\r\nc\0d\te\x1b[31m\x7f', 100), 'a#012b#015#012c#000d#011e#033[31m#177');
  });
  it('drops line ends at the end', () => {
    assert.equal(escapeText('text\r\n\n', 100), 'text');
    assert.equal(escapeText('\n', 100), '');
  });
  it('leaves 8-bit bytes and % alone', () => {
    assert.equal(escapeText('caf\xe9 \xc3\xa9 %s%n%%', 100), 'caf\xe9 \xc3\xa9 %s%n%%');
  });
  it('escapes the controls of 8-bit terminals in their UTF-8 form', () => {
    assert.equal(escapeText('\xc2\x9b31m \xc2\x85 \xc2\xa0', 100), '#302#23331m #302#205 \xc2\xa0');
  });
  it('never lets a wide character become a line end', () => {
    assert.equal(escapeText('\u010a', 100), '\xc4\x8a'); // Its low byte is 0x0a.
  });
  it('bounds the length, and cuts between characters', () => {
    assert.equal(escapeText('x'.repeat(10), 10), 'x'.repeat(10));
    assert.equal(escapeText('x'.repeat(11), 10), 'xxxxxxx...');
    assert.equal(escapeText(`xxxxx\xe2\x82\xac${'x'.repeat(10)}`, 10), 'xxxxx...');
    assert.equal(escapeText('\n'.repeat(100_000).concat('x'), 10), '#012#01...');
    assert.equal(escapeText('x'.repeat(10), 0), '');
  });
  it('gives bounded harmless bytes for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.nat(80), (text, max) => {
        const safe = escapeText(text, max);
        assert.ok(safe.length <= max);
        assert.match(safe, /^[ -~\x80-\xff]*$/);
      }),
    );
  });
});

describe('formatSyslog', () => {
  it('writes what syslog(3) writes to /dev/log', () => {
    const line = formatSyslog(record, time, 17, null, 8192);
    assert.equal(line.toString('latin1'), '<22>Nov  5 04:02:01 smtpf[17]: hello');
  });
  it('names the host for a log server', () => {
    const line = formatSyslog({ ...record, pid: false }, time, 17, 'mx1', 8192);
    assert.equal(line.toString('latin1'), '<22>Nov  5 04:02:01 mx1 smtpf: hello');
  });
  it('bounds the whole line', () => {
    const line = formatSyslog({ ...record, text: '\n'.repeat(9000).concat('x') }, time, 17, 'mx1', 1024);
    assert.equal(line.length, 1024);
    assert.match(line.toString('latin1'), /\.\.\.$/);
  });
});

describe('formatConsole', () => {
  it('is a line for people', () => {
    const line = formatConsole(record, time, 17, 8192);
    assert.equal(line.toString('latin1'), '2026-11-05 04:02:01.007 info smtpf[17]: hello\n');
  });
});

describe('formatJournal', () => {
  it('is a line of sd-daemon', () => {
    assert.equal(formatJournal(record, 17, 8192).toString('latin1'), '<6>smtpf[17]: hello\n');
  });
});
