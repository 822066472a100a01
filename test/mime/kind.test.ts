/** What bytes are: as real programs make them, and byte by byte. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { declaredKind, KIND_BYTES, kindOf, officeKind } from '../../src/mime/kind.ts';

const latin1 = (text: string) => Buffer.from(text, 'latin1');

describe('kinds', () => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-kind-'));
  after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'a');

  it('of files that other programs have made', () => {
    writeFileSync(path, 'text');
    const made: Readonly<Record<string, Buffer>> = {
      'application/gzip': execFileSync('gzip', ['-c', path]),
      'application/x-tar': execFileSync('tar', ['-C', directory, '-cf', '-', 'a']),
      'application/x-elf': readFileSync('/bin/true'),
      'text/x-shellscript': latin1('#!/bin/sh\n'),
    };
    for (const [kind, bytes] of Object.entries(made))
      assert.equal(kindOf(bytes.subarray(0, KIND_BYTES)), kind);
  });

  it('of a Windows program, and of one for DOS', () => {
    const program = Buffer.alloc(200);
    program.write('MZ');
    program.writeUInt32LE(128, 60);
    assert.equal(kindOf(program), 'application/x-dosexec');
    program.write('PE\0\0', 128);
    assert.equal(kindOf(program), 'application/vnd.microsoft.portable-executable');
    program.writeUInt32LE(0xffffffff, 60);
    assert.equal(kindOf(program), 'application/x-dosexec');
    assert.equal(kindOf(latin1('MZ')), 'application/x-dosexec');
  });

  it('of the older documents of an office, by their streams', () => {
    const ole = (stream: string) =>
      Buffer.concat([
        Buffer.from('d0cf11e0a1b11ae1', 'hex'),
        Buffer.alloc(504),
        Buffer.from(stream, 'utf16le'),
      ]);
    assert.equal(kindOf(ole('WordDocument')), 'application/msword');
    assert.equal(kindOf(ole('Workbook')), 'application/vnd.ms-excel');
    assert.equal(kindOf(ole('PowerPoint Document')), 'application/vnd.ms-powerpoint');
    assert.equal(kindOf(ole('__substg1.0_0037001F')), 'application/vnd.ms-outlook');
    assert.equal(kindOf(ole('nothing')), 'application/x-ole-storage');
  });

  it('of documents that are archives, by the names in them', () => {
    const types = '[Content_Types].xml';
    assert.match(String(officeKind([types, 'word/document.xml'])), /wordprocessingml\.document$/);
    assert.match(String(officeKind([types, 'word/document.xml', 'word/vbaProject.bin'])), /macroenabled/);
    assert.match(String(officeKind([types, 'XL/workbook.xml'])), /spreadsheetml\.sheet$/);
    assert.equal(officeKind(['META-INF/MANIFEST.MF', 'A.class']), 'application/java-archive');
    assert.equal(officeKind(['a.txt']), undefined);
    const text = `PK\x03\x04${'\0'.repeat(26)}mimetypeapplication/vnd.oasis.opendocument.textPK\x03\x04`;
    assert.equal(declaredKind(latin1(text)), 'application/vnd.oasis.opendocument.text');
    assert.equal(declaredKind(latin1(text.replace('mimetype', 'somename'))), undefined);
  });

  it('of text that is a page, a picture or a link', () => {
    assert.equal(kindOf(latin1('\xef\xbb\xbf \n<!DOCTYPE HTML>')), 'text/html');
    assert.equal(kindOf(latin1('<?xml version="1.0"?><svg xmlns="x"/>')), 'image/svg+xml');
    assert.equal(kindOf(latin1('<?xml version="1.0"?><x/>')), 'text/xml');
    assert.equal(kindOf(latin1('[InternetShortcut]\nURL=x')), 'application/x-mswinurl');
    assert.equal(kindOf(latin1('hello <html>')), undefined);
    assert.equal(kindOf(Buffer.alloc(0)), undefined);
  });
});
