import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatSyslogTarget, parseSyslogTarget } from '../../src/syslog/target.ts';
import { BadValue } from '../../src/text/bad-value.ts';

describe('parseSyslogTarget', () => {
  it('reads every kind', () => {
    assert.deepEqual(parseSyslogTarget('local'), { kind: 'local', path: '/dev/log' });
    assert.deepEqual(parseSyslogTarget('stderr'), { kind: 'stderr' });
    assert.deepEqual(parseSyslogTarget('none'), { kind: 'none' });
    assert.deepEqual(parseSyslogTarget('udp://192.0.2.7:5514'), {
      kind: 'udp',
      host: '192.0.2.7',
      port: 5514,
    });
    assert.deepEqual(parseSyslogTarget('tcp://log.example'), { kind: 'tcp', host: 'log.example', port: 514 });
    assert.deepEqual(parseSyslogTarget('tcp://[::1]:601'), { kind: 'tcp', host: '::1', port: 601 });
    assert.deepEqual(parseSyslogTarget('udp://[2001:db8::1]'), {
      kind: 'udp',
      host: '2001:db8::1',
      port: 514,
    });
  });

  it('refuses everything else and names it', () => {
    const wrong = [
      '',
      'locale',
      'udp:',
      'udp://',
      'udp://:514',
      'tls://log.example:6514',
      'udp://log.example:0',
      'udp://log.example:65536',
      'udp://log.example:x',
      'udp://::1:514',
      'udp://[::1',
      'udp://[log.example]:514',
      'udp://user@log.example',
      'tcp://log.example:514/path',
      'local\n',
    ];
    for (const text of wrong) {
      assert.throws(
        () => parseSyslogTarget(text),
        (error) => error instanceof BadValue && error.message.startsWith('must be local, '),
        text,
      );
    }
  });
});

describe('formatSyslogTarget', () => {
  it('writes what parseSyslogTarget reads', () => {
    for (const text of ['udp://192.0.2.7:5514', 'tcp://[::1]:601', 'stderr', 'none']) {
      assert.equal(formatSyslogTarget(parseSyslogTarget(text)), text);
    }
    assert.equal(formatSyslogTarget(parseSyslogTarget('local')), '/dev/log');
  });
});
