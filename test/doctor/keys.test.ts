/** `doctor` and the keys that sign: what the DNS of a real name server shows, beside keys that openssl has made. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Nsd, withoutNsd } from '../dns/nsd.ts';
import { Site } from './site.ts';

const skip = process.getuid?.() === 0 ? { skip: withoutNsd } : { skip: 'root starts the milter' };

it('key-not-in-dns: no record, another key, and the right one', skip, async (t) => {
  const site = new Site(t);
  const make = (name: string): string => {
    const path = `${site.directory}/${name}.pem`;
    site.shell(`openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ${path} 2>/dev/null ||
      openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out ${path} 2>/dev/null`);
    return path;
  };
  const publicOf = (path: string) =>
    site.shell(`openssl pkey -in ${path} -pubout -outform DER | base64 -w 0`).trim();
  const strings = (text: string) => (text.match(/.{1,200}/g) ?? []).map((part) => `"${part}"`).join(' ');
  const [key, other] = [make('key'), make('other')];
  const nsd = await Nsd.start({
    'signed.test': `right._domainkey 60 IN TXT ${strings(`v=DKIM1; k=rsa; p=${publicOf(key)}`)}
wrong._domainkey 60 IN TXT ${strings(`v=DKIM1; k=rsa; p=${publicOf(other)}`)}
`,
  });
  t.after(() => nsd.stop());
  const sign = (selector: string, path = key) =>
    `  auth.sign { domain = "signed.test", selector = "${selector}", key = "${path}" }`;
  site.write(
    'smtpf.lua',
    `function smtp.do_dot()\n${['right', 'wrong', 'none'].map((one) => sign(one)).join('\n')}
${sign('right', '/run/smtpf-milter-nowhere.pem')}
end\n`,
  );
  site.options.push('--dns-server', nsd.server, '--listen', 'inet:0@127.0.0.1');
  await site.serve();
  const { findings, remarks } = await site.doctor();
  assert.deepEqual(
    findings.map(({ id, where }) => `${id} ${where.slice(site.directory.length)}`).sort(),
    ['key-not-in-dns /smtpf.lua:3', 'key-not-in-dns /smtpf.lua:4', 'key-unusable /smtpf.lua:5'],
    JSON.stringify(findings, undefined, 2),
  );
  const of = (line: number) => findings.find(({ where }) => where.endsWith(`:${line}`));
  assert.match(of(3)?.problem ?? '', /the record wrong\._domainkey\.signed\.test shows another key/);
  assert.match(of(4)?.problem ?? '', /the DNS has no record none\._domainkey\.signed\.test/);
  const [record] = of(4)?.mend ?? [];
  assert.equal(record?.kind, 'dns');
  assert.ok(record?.line.startsWith('none._domainkey.signed.test. TXT "v=DKIM1; k=rsa; p='));
  assert.ok(record?.line.replaceAll('" "', '').includes(`p=${publicOf(key)}"`), record?.line);
  assert.ok(
    remarks.some(({ kind, text }) => kind === 'right' && text.includes('right._domainkey.signed.test shows')),
  );
});
