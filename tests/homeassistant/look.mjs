// look.mjs LAB URL TOKENS.json PATH PICTURE.png: logs in and takes a picture of a page of Home Assistant.
import fs from 'node:fs';
import { createRequire } from 'node:module';
const [lab, url, tokens, path, picture] = process.argv.slice(2);
const { chromium } = createRequire(lab + '/')('playwright-core');
const token = JSON.parse(fs.readFileSync(tokens));
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic',
  '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] });
const page = await browser.newPage({ viewport: { width: 1180, height: 1020 } });
const hassTokens = { ...token, hassUrl: url, clientId: url + '/', expires: Date.now() + token.expires_in * 1000 };
await page.addInitScript(tokens => localStorage.setItem('hassTokens', JSON.stringify(tokens)), hassTokens);
await page.goto(url + path, { waitUntil: 'domcontentloaded' });
await page.waitForTimeout(12000);
// While there are numbers.
for (let tries = 0; tries < 600; tries++) {
  const answer = await fetch(url + '/api/states', { headers: { Authorization: 'Bearer ' + token.access_token } });
  const mood = (await answer.json()).find(state => state.entity_id.endsWith('_mood'));
  if (mood && ['negative', 'neutral', 'positive'].includes(mood.state)) break;
  await page.waitForTimeout(200);
}
await page.waitForTimeout(700);
await page.screenshot({ path: picture });
await browser.close();
