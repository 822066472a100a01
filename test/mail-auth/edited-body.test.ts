import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { hashOfBody } from '../../src/mail-auth/edited-body.ts';

const sha256 = (text: string) => createHash('sha256').update(Buffer.from(text, 'latin1')).digest('base64');

describe('the hash of a new body', () => {
  it('is that of lines which end in CRLF, whatever they end in', async () => {
    const wanted = sha256('one\r\ntwo three\r\n\r\nfour\r\n');
    for (const body of [
      'one\r\ntwo  three \r\n\r\nfour\r\n',
      'one\ntwo\tthree \n\nfour\n',
      'one\r\ntwo three\n\r\nfour\n\n\n',
      'one\ntwo three\n\nfour',
    ]) {
      assert.equal(await hashOfBody(Buffer.from(body, 'latin1'), 'relaxed'), wanted, JSON.stringify(body));
    }
    assert.equal(await hashOfBody(Buffer.from('a \n', 'latin1'), 'simple'), sha256('a \r\n'));
    assert.equal(await hashOfBody(Buffer.alloc(0), 'relaxed'), sha256(''));
  });

  it('is the same wherever the pieces end', async () => {
    for (const end of ['\n', '\r\n']) {
      for (let length = 65_530; length < 65_540; length += 1) {
        const line = 'x'.repeat(length);
        const body = Buffer.from(`${line}${end}${end}y${end}`, 'latin1');
        assert.equal(await hashOfBody(body, 'relaxed'), sha256(`${line}\r\n\r\ny\r\n`), `${length}`);
      }
    }
  });

  it('is none where a line is longer than any program makes', async () => {
    assert.equal(await hashOfBody(Buffer.alloc(1024 * 1024 + 2, 'x'), 'relaxed'), undefined);
  });

  it('lets others have their turns', async () => {
    const body = Buffer.from('A line of text of some length, as there are many.\n'.repeat(600_000));
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    count();
    await hashOfBody(body, 'relaxed');
    isOver = true;
    assert.ok(turns >= body.length / 1024 / 1024, `${turns}`);
  });
});
