var nt=`.painter {
  container-type: inline-size;
  --gap: 8px;
  --accent: var(--st-primary-color, #0b7a75);
  --line: var(--st-border-color, #c9d2d0);
  --bad: #b84f00;
  --on-accent: #fff;
  font: 13px / 1.45 var(--st-font, system-ui, sans-serif);
  color: var(--st-text-color, #1f2a30);
  outline: none;
  position: relative;
}
.painter.dark {
  --on-accent: #06110f;
  --bad: #f08a3c;
}
.body {
  display: grid;
  grid-template-columns: minmax(0, 1fr) minmax(180px, 24%) 292px;
  gap: var(--gap);
  height: var(--painter-height, 600px);
}
.beside {
  display: flex;
  flex-direction: column;
  gap: var(--gap);
  min-height: 0;
}
.beside .pane {
  flex: 1;
}
.pane {
  position: relative;
  min-width: 0;
  min-height: 0;
  background: #0b0e10;
  border-radius: 6px;
  overflow: hidden;
}
.pane[hidden] {
  display: none;
}
.painter:focus-visible .large {
  box-shadow: 0 0 0 2px var(--accent);
}
.pane canvas {
  position: absolute;
  inset: 0;
  width: 100%;
  height: 100%;
  display: block;
  cursor: crosshair;
  touch-action: none;
}
.volume3d {
  color: #dfe7e6;
}
.volume3d p {
  padding: 10px 12px;
  margin: 0;
}
.volume3d button {
  position: absolute;
  right: 6px;
  top: 6px;
  color: #dfe7e6;
  background: rgb(0 0 0 / 0.5);
}
.volume3d canvas {
  cursor: grab;
}
.caption {
  position: absolute;
  left: 8px;
  top: 6px;
  color: #fff;
  text-shadow:
    0 0 3px #000,
    0 0 3px #000;
  font-variant-numeric: tabular-nums;
  pointer-events: none;
  white-space: pre;
}
.toolbar {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 10px;
  margin-bottom: 6px;
  min-height: 30px;
}
.toolbar.brush {
  min-height: 28px;
  gap: 6px 18px;
}
.spring {
  flex: 1;
}
.group {
  display: inline-flex;
}
.group button {
  border-radius: 0;
  margin-left: -1px;
}
.group button:first-child {
  border-radius: 6px 0 0 6px;
  margin-left: 0;
}
.group button:last-child {
  border-radius: 0 6px 6px 0;
}
button,
select {
  font: inherit;
  color: inherit;
  background: var(--st-secondary-background-color, #eef2f1);
  border: 1px solid var(--line);
  border-radius: 6px;
  padding: 3px 9px;
  cursor: pointer;
}
button:hover:enabled {
  border-color: var(--accent);
}
button:focus-visible,
select:focus-visible,
textarea:focus-visible {
  outline: 2px solid var(--accent);
  outline-offset: 1px;
}
button[aria-pressed="true"] {
  background: var(--accent);
  color: var(--on-accent);
  border-color: transparent;
}
button:disabled {
  opacity: 0.45;
  cursor: default;
}
.kinds button {
  border-bottom-width: 3px;
}
.kinds [data-kind="add"] {
  border-bottom-color: #009e73;
}
.kinds [data-kind="remove"] {
  border-bottom-color: #d55e00;
}
.kinds [data-kind="ignore"] {
  border-bottom-color: #cc79a7;
}
.save:enabled {
  background: var(--accent);
  border-color: transparent;
  color: var(--on-accent);
  font-weight: 600;
}
.slider {
  display: inline-flex;
  align-items: center;
  gap: 6px;
}
.slider input {
  width: 84px;
  accent-color: var(--accent);
}
.slider output {
  min-width: 2ch;
  font-variant-numeric: tabular-nums;
}
input[type="checkbox"] {
  accent-color: var(--accent);
  margin: 0;
}
.word,
.quietly {
  opacity: 0.75;
}
.notice {
  display: none;
}
.notice.shown {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  gap: 6px 10px;
  margin-bottom: 6px;
  padding: 7px 10px;
  border: 1px solid #e69f00;
  border-left-width: 4px;
  border-radius: 6px;
  background: color-mix(in srgb, #e69f00 12%, transparent);
}
.notice.bad {
  border-color: var(--bad);
  background: color-mix(in srgb, var(--bad) 12%, transparent);
}
.side {
  overflow: auto;
  border: 1px solid var(--line);
  border-radius: 6px;
  padding: 8px 10px;
}
.side > div + div {
  margin-top: 10px;
  padding-top: 8px;
  border-top: 1px solid var(--line);
}
.side h4 {
  margin: 0 0 4px;
  font-size: 13px;
}
.side p {
  margin: 2px 0 4px;
}
.example {
  width: 100%;
  height: auto;
  border-radius: 4px;
  display: block;
  margin: 2px 0 6px;
}
.counts {
  border-collapse: collapse;
  width: 100%;
}
.counts td {
  padding: 1px 0;
}
.number {
  text-align: right;
  font-variant-numeric: tabular-nums;
}
.warned td {
  color: var(--bad);
  font-weight: 600;
}
.layer {
  display: flex;
  align-items: center;
  gap: 6px;
  padding: 1px 0;
}
.layer .name {
  overflow: hidden;
  text-overflow: ellipsis;
  white-space: nowrap;
}
.chip {
  width: 11px;
  height: 11px;
  border-radius: 3px;
  flex: none;
}
.layers-of-others button {
  margin-top: 6px;
}
.against {
  border-left: 3px solid var(--bad);
  padding-left: 7px;
}
.comment.settled {
  opacity: 0.55;
  text-decoration: line-through;
}
.place {
  padding: 0 6px;
  font-size: 12px;
  font-variant-numeric: tabular-nums;
}
textarea {
  font: inherit;
  width: 100%;
  box-sizing: border-box;
  color: inherit;
  background: var(--st-background-color, #fff);
  border: 1px solid var(--line);
  border-radius: 6px;
  padding: 5px 7px;
  margin-bottom: 6px;
}
.quiet {
  background: none;
  border-color: transparent;
  text-decoration: underline;
  padding-left: 0;
  margin-top: 10px;
  opacity: 0.8;
}
.status {
  margin-top: 4px;
  min-height: 20px;
}
.status,
.keeping {
  font-variant-numeric: tabular-nums;
  white-space: pre-wrap;
  opacity: 0.85;
}
.bad.status,
.bad.keeping {
  color: var(--bad);
  opacity: 1;
}
.help {
  position: absolute;
  top: 40px;
  left: 50%;
  transform: translateX(-50%);
  margin: 0;
  border: 1px solid var(--line);
  border-radius: 8px;
  padding: 12px 18px;
  background: var(--st-background-color, #fff);
  color: inherit;
  z-index: 5;
  box-shadow: 0 8px 30px rgb(0 0 0 / 0.3);
}
.help h4 {
  margin: 0 0 6px;
}
.help .keys {
  font-weight: 600;
  padding-right: 18px;
  white-space: nowrap;
}
@container (max-width: 1080px) {
  .body {
    grid-template-columns: minmax(0, 1fr) minmax(160px, 23%) 236px;
  }
  .toolbar {
    gap: 6px 7px;
  }
  button,
  select {
    padding: 3px 7px;
  }
}
@container (max-width: 760px) {
  .body {
    grid-template-columns: minmax(0, 1fr);
    height: auto;
  }
  .large {
    height: 60vh;
  }
  .beside {
    height: 50vh;
  }
}
`;var rt="x-tomocurate-token",ln="Your session is over: open tomocurate again.",v=class extends Error{constructor(t,n){super(n);this.status=t}status},Q=class{held=new Map;renewing=null;keep(e,t){this.held.set(e,t)}of(e){return this.held.get(e)??""}renew(){return this.renewing??=this.askAnew().finally(()=>this.renewing=null),this.renewing}async askAnew(){let e=[...this.held],t=await fetch("/api/tokens",{method:"POST",body:JSON.stringify({tokens:e.map(([,i])=>i)})});if(!t.ok)throw new v(t.status,ln);let n=(await t.json()).tokens;e.forEach(([i],o)=>this.held.set(i,n[o]))}};var Ir=new Int32Array(0),z=class{runs=new Int32Array(192);length=0;next=-1;values=-1;add(e,t,n){let i=t|n<<8;e===this.next&&i===this.values?this.runs[this.length-2]+=1:this.begin(e,i),this.next=e+1}done(){return this.runs.slice(0,this.length)}begin(e,t){if(this.length===this.runs.length){let n=new Int32Array(this.runs.length*2);n.set(this.runs),this.runs=n}this.runs[this.length++]=e,this.runs[this.length++]=1,this.runs[this.length++]=t,this.values=t}};function it(r,e){let t=new z;for(let n=0;n<e.length;n++)r[n]!==e[n]&&t.add(n,r[n],e[n]);return t.done()}function De(r,e){for(let t=0;t<r.length;t+=3){let n=r[t+2];e(r[t],r[t+1],n&255,n>>8)}}function T(r,e){De(r,(t,n,i,o)=>e.fill(o,t,t+n))}function ot(r){let e=r.slice();for(let t=2;t<e.length;t+=3){let n=e[t];e[t]=n>>8|(n&255)<<8}return e}var st=[1,2,3],Z=["Eraser","Add","Remove","Ignore"],M=[0,1,2,4],ee=0,m=1,R=2;var cn=64<<20,te=class{constructor(e,t){this.canvas=e;let n=e.predicted.length;this.voxels=new Uint8Array(n),t&&this.voxels.set(t),this.before=new Uint8Array(n),this.isTouched=new Uint8Array(n)}canvas;voxels;before;isTouched;touched=new Int32Array(1024);touchedCount=0;paint(e,t,n){this.voxels[e]!==t&&(t!==0&&!this.allows(e,n)||(this.isTouched[e]||this.touch(e),this.voxels[e]=t))}finish(){let e=this.touched.subarray(0,this.touchedCount).sort(),t=new z;for(let i of e){this.isTouched[i]=0;let o=this.before[i];o!==this.voxels[i]&&t.add(i,o,this.voxels[i])}this.touchedCount=0;let n=t.done();return n.length?n:null}allows(e,t){return this.canvas.inside[e]?t==="anywhere"?!0:this.canvas.predicted[e]===m==(t==="on prediction"):!1}touch(e){if(this.touchedCount===this.touched.length){let t=new Int32Array(this.touched.length*2);t.set(this.touched),this.touched=t}this.touched[this.touchedCount++]=e,this.isTouched[e]=1,this.before[e]=this.voxels[e]}},O=class{constructor(e=[],t=cn){this.done=e;this.mostBytes=t;this.bytes=e.reduce((n,i)=>n+i.byteLength,0)}done;mostBytes;undone=[];bytes=0;get canUndo(){return this.done.length>0}get canRedo(){return this.undone.length>0}add(e){for(this.bytes-=this.undone.reduce((t,n)=>t+n.byteLength,0),this.undone=[],this.done.push(e),this.bytes+=e.byteLength;this.bytes>this.mostBytes&&this.done.length>1;)this.bytes-=this.done.shift().byteLength}undo(e){let t=this.done.pop();if(!t)return null;this.undone.push(t);let n=ot(t);return T(n,e),n}redo(e){let t=this.undone.pop();return t?(this.done.push(t),T(t,e),t):null}};var Re=[0,1,2];var at=["XY","XZ","YZ"],hn=[1,0,0],dn=[2,2,1];function U(r){return hn[r]}function I(r){return dn[r]}function P(r,e){return{width:r[I(e)],height:r[U(e)]}}function K(r,e){return{column:r[I(e)],row:r[U(e)]}}function lt(r,e,t,n){let i=[...t];return i[U(e)]=Math.floor(r.row),i[I(e)]=Math.floor(r.column),F(i,n)}function F(r,e){let t=r.map((n,i)=>Math.min(Math.max(Math.round(n),0),e[i]-1));return[t[0],t[1],t[2]]}function Oe(r,e,t,n){let i=[...r];return i[e]+=t,F(i,n)}var ne=class{constructor(e,t){this.shape=e;this.border=t;let[n,i,o]=e;this.size=n*i*o,this.strides=[i*o,o,1],this.inside=new Uint8Array(this.size);for(let s=t;s<n-t;s++)for(let a=t;a<i-t;a++){let l=s*this.strides[0]+a*o;o>2*t&&this.inside.fill(1,l+t,l+o-t)}}shape;border;size;strides;inside;index(e,t,n){return e*this.strides[0]+t*this.strides[1]+n}plane(e,t){let n=U(e),i=I(e);return{first:t*this.strides[e],rowStep:this.strides[n],columnStep:this.strides[i],rows:this.shape[n],columns:this.shape[i]}}};function C(r,e){let t=new Uint8Array(e.rows*e.columns);for(let n=0,i=0;n<e.rows;n++){let o=e.first+n*e.rowStep;for(let s=0;s<e.columns;s++,i++,o+=e.columnStep)t[i]=r[o]}return t}var re=32,ct=64,W=Uint8Array.from({length:ct},(r,e)=>!(e&re)||e&4?R:e&1?m:e&2?ee:oe(e));function oe(r){return r>>3&3}function _(r){return(r&re)!==0}function se(r){return _(r)&&j(r)>1}function ae(r){return!_(r)&&j(r)>0}var ie=class{constructor(e,t){this.predicted=t;this.fixed=new Uint8Array(t.length);for(let n=0;n<e.length;n++)this.fixed[n]=e[n]*re+t[n]*8}predicted;fixed;tally=new Int32Array(ct);recount(e,t){let{fixed:n,tally:i,predicted:o}=this;for(let s=0;s<n.length;s++)n[s]=n[s]&re|o[s]<<3;for(let s of e)for(let a=0;a<n.length;a++)n[a]|=s[a];i.fill(0);for(let s=0;s<n.length;s++)i[n[s]|M[t[s]]]+=1}follow(e){let{fixed:t,tally:n}=this;De(e,(i,o,s,a)=>{for(let l=i;l<i+o;l++)n[t[l]|M[s]]-=1,n[t[l]|M[a]]+=1})}counts(){let e={background:0,membrane:0,ignore:0,added:0,removed:0,ignored:0,contested:0,lost:0};return this.tally.forEach((t,n)=>{let i=oe(n),o=W[n];if(o===ee?e.background+=t:o===m?e.membrane+=t:e.ignore+=t,!_(n))return void(e.lost+=t*j(n));j(n)!==0&&(i!==m&&o===m&&(e.added+=t),i===m&&o===ee&&(e.removed+=t),i!==R&&o===R&&(e.ignored+=t),j(n)>1&&(e.contested+=t))}),e}state(e,t){return this.fixed[e]|M[t[e]]}label(e){let t=new Uint8Array(e.length);for(let n=0;n<t.length;n++)t[n]=W[this.state(n,e)];return t}};function un(r){return r&4?3:r&1?1:r&2}function Ue(r,e){let t=new Uint8Array(e);for(let n of r)for(let i=0;i<e;i++)t[i]|=n[i];for(let n=0;n<e;n++)t[n]=un(t[n]);return t}function j(r){return(r&1)+(r>>1&1)+(r>>2&1)}var le=class r{constructor(e,t,n,i,o,s,a){this.facts=e;this.gray=t;this.predicted=n;this.merged=i;this.layers=o;this.saved=s;this.grid=new ne(e.shape,a),this.drawing=new te({inside:this.grid.inside,predicted:n},s),this.result=new ie(this.grid.inside,n),this.base=e.base,this.recount()}facts;gray;predicted;merged;layers;saved;grid;drawing;history=new O;result;base;continued={};static async load(e,t){let n=await e.facts(),i=t.merge??n.merges.find(d=>d.current)?.number??null,[o,s,a,{layers:l,saved:h}]=await Promise.all([e.image(n.imageVersion),e.label(n.labelVersion),t.readOnly&&i!==null?e.merged(i):null,ce(e,n,t.readOnly)]);return new r(n,o,s,a,l,h,t.border)}get shape(){return this.facts.shape}recount(){let e=this.layers.filter(t=>!(t.slot.name in this.continued));this.result.recount(e.map(t=>t.claims),this.drawing.voxels)}replace(e){let t=it(this.drawing.voxels,e);return T(t,this.drawing.voxels),this.recount(),t}joined(e){let t=Uint8Array.from(this.drawing.voxels,n=>M[n]);return Ue([t,...e.map(n=>n.claims)],this.grid.size)}};async function ce(r,e,t){let n=e.slots.filter(l=>!l.error),i=await Promise.all(n.map(async l=>({slot:l,shown:!0,claims:await r.claims(l.name,l.version)}))),o=e.shape[0]*e.shape[1]*e.shape[2],s=l=>!t&&l.slot.name in e.base,a=i.filter(s).map(l=>l.claims);return{layers:i.filter(l=>!s(l)),saved:Ue(a,o)}}function Ie(r,e){for(let t=0;t<r.length;t++)if(r[t]!==e[t])return!1;return r.length===e.length}async function dt(r){let{subtle:e}=globalThis.crypto;return e?ut(new Uint8Array(await e.digest("SHA-256",r))):pn(r)}function pn(r){let e=ht(2,8),t=ht(3,64),n=vn(r),i=new DataView(n.buffer),o=new Int32Array(64);for(let a=0;a<n.length;a+=64){for(let l=0;l<16;l++)o[l]=i.getInt32(a+4*l);for(let l=16;l<64;l++)o[l]=fn(o,l);mn(e,o,t)}let s=new DataView(new ArrayBuffer(32));return e.forEach((a,l)=>s.setInt32(4*l,a)),ut(new Uint8Array(s.buffer))}function mn(r,e,t){let[n,i,o,s,a,l,h,d]=r;for(let p=0;p<64;p++){let u=a&l^~a&h,g=n&i^n&o^i&o,A=S(a,6)^S(a,11)^S(a,25),B=S(n,2)^S(n,13)^S(n,22),k=d+A+u+t[p]+e[p]|0;d=h,h=l,l=a,a=s+k|0,s=o,o=i,i=n,n=k+B+g|0}[n,i,o,s,a,l,h,d].forEach((p,u)=>r[u]=r[u]+p|0)}function fn(r,e){let t=r[e-2],n=r[e-15],i=S(t,17)^S(t,19)^t>>>10,o=S(n,7)^S(n,18)^n>>>3;return r[e-16]+o+r[e-7]+i|0}function vn(r){let e=new Uint8Array((r.length+8>>6)+1<<6);return e.set(r),e[r.length]=128,new DataView(e.buffer).setBigUint64(e.length-8,BigInt(r.length)*8n),e}function ht(r,e){let t=new Int32Array(e);for(let n=2,i=0;i<e;n++)gn(n)&&(t[i++]=Number(BigInt.asIntN(32,yn(BigInt(n)<<BigInt(32*r),r))));return t}function yn(r,e){let t=0n,n=1n<<48n;for(;n-t>1n;){let i=t+n>>1n;i**BigInt(e)<=r?t=i:n=i}return t}function gn(r){for(let e=2;e*e<=r;e++)if(r%e===0)return!1;return!0}function S(r,e){return r>>>e|r<<32-e}function ut(r){return Array.from(r,e=>e.toString(16).padStart(2,"0")).join("")}var G=409,bn=403,Ne=401,pt="x-tomocurate-base",Le="x-tomocurate-continued",xn="application/octet-stream",wn=.1,D=class extends Error{},de=class{tokens=new Q;path="";take(e){this.path=`/api/painting/${encodeURIComponent(e.object)}`,this.tokens.keep("view",e.tokens.view),e.tokens.paint&&this.tokens.keep("paint",e.tokens.paint)}async facts(){return(await this.ask("view","")).json()}image(e){return this.voxels(`/image?v=${e}`)}label(e){return this.voxels(`/label?v=${e}`)}merged(e){return this.voxels(`/merges/${e}`)}claims(e,t){return this.voxels(`/slots/${encodeURIComponent(e)}/${t}`)}async draft(){let e=await this.ask("view","/draft"),t=i=>JSON.parse(e.headers.get(i)??"null");return{voxels:new Uint8Array(await e.arrayBuffer()),base:t(pt),continued:t(Le)??{}}}async keepDraft(e,t,n,i,o){return(await this.put("/draft",e,t,{"if-match":String(n),[pt]:he(i),[Le]:he(o)})).json()}async forgetDraft(){await this.ask("paint","/draft",{method:"DELETE"})}async save(e,t,n,i){return(await this.put("/corrections",e,t,{"if-match":he(n),[Le]:he(i)})).json()}async hold(e){let t=JSON.stringify({takeOverFrom:e});return(await this.ask("paint","/hold",{method:"POST",body:t})).json()}async letGo(){await this.ask("paint","/hold",{method:"DELETE",keepalive:!0}).catch(()=>{})}async comment(e,t){let n=JSON.stringify({text:e,at:t});return(await(await this.ask("view","/comments",{method:"POST",body:n})).json()).comments}async voxels(e){return new Uint8Array(await(await this.ask("view",e)).arrayBuffer())}async put(e,t,n,i){let o=An(t)<t.length*wn,[s,a]=await Promise.all([o?Pn(t):t,dt(t)]);return this.ask("paint",e,{method:"PUT",body:s,headers:{"content-type":xn,"content-encoding":o?"gzip":"identity","x-tomocurate-shape":n.join(","),"x-tomocurate-axes":"zyx","x-tomocurate-sha256":a,...i}})}async ask(e,t,n={}){let i=await this.attempt(e,t,n);if(i.status===bn&&await this.renewed()&&(i=await this.attempt(e,t,n)),i.ok)return i;throw new v(i.status,await En(i))}async attempt(e,t,n){let i={...n.headers,[rt]:this.tokens.of(e)};try{return await fetch(this.path+t,{...n,headers:i})}catch(o){throw new D("The server cannot be reached.",{cause:o})}}async renewed(){try{return await this.tokens.renew(),!0}catch(e){if(e instanceof v&&e.status===Ne)throw e;return!1}}};function Be(r){return r instanceof v&&r.status===Ne}function he(r){return JSON.stringify(r).replace(/[^ -~]/g,e=>`\\u${e.charCodeAt(0).toString(16).padStart(4,"0")}`)}function An(r){let e=0;for(let t=1;t<r.length;t++)r[t]!==r[t-1]&&e++;return e}async function Pn(r){let e=new Blob([r]).stream().pipeThrough(new CompressionStream("gzip"));return new Response(e).blob()}async function En(r){if(r.status===Ne)return"Your session is over: sign in again in another tab, then go on here.";try{return(await r.json()).error}catch{return`The server answered ${r.status}.`}}var kn="tomocurate-painter",V="bases",L="strokes",ue=class r{constructor(e,t){this.database=e;this.painting=t}database;painting;number=0;hasBase=!1;static async open(e){return new r(await Sn(),e)}async read(){let e=this.database.transaction([V,L]),t=await Ve(e.objectStore(V).get(this.painting)),n=await Ve(e.objectStore(L).getAll(this.all()));if(!t||!n.length)return null;let i=n.at(-1);return{base:t,strokes:n.map(o=>o.diff),lastNumber:i.number,at:i.at}}goOn(e){this.number=e.lastNumber,this.hasBase=!0}get strokes(){return this.number}async add(e,t){let n=this.write();this.hasBase||(this.number=0,n.objectStore(L).delete(this.all()),n.objectStore(V).put(t(),this.painting),this.hasBase=!0),this.number+=1;let i={painting:this.painting,number:this.number,diff:e,at:Date.now()};n.objectStore(L).put(i),await mt(n)}async rebase(e,t){let n=this.write();t>=this.number?(this.hasBase=!1,n.objectStore(V).delete(this.painting),n.objectStore(L).delete(this.all())):(n.objectStore(V).put(e,this.painting),n.objectStore(L).delete(IDBKeyRange.bound([this.painting,0],[this.painting,t]))),await mt(n)}async clear(){await this.rebase({voxels:new Uint8Array(0),versions:{},continued:{}},this.number)}close(){this.database.close()}all(){return IDBKeyRange.bound([this.painting,0],[this.painting,1/0])}write(){return this.database.transaction([V,L],"readwrite",{durability:"strict"})}};function ft(r){let e=r.base.voxels.slice();for(let t of r.strokes)T(t,e);return e}function Sn(){let r=indexedDB.open(kn,1);return r.onupgradeneeded=()=>{r.result.createObjectStore(V),r.result.createObjectStore(L,{keyPath:["painting","number"]})},Ve(r)}function Ve(r){return new Promise((e,t)=>{r.onsuccess=()=>e(r.result),r.onerror=()=>t(r.error)})}function mt(r){return new Promise((e,t)=>{r.oncomplete=()=>e(),r.onabort=()=>t(r.error),r.onerror=()=>t(r.error)})}var Tn="tomocurate-painter";var pe=class{constructor(e,t){this.painting=e;this.giveUp=t;this.channel.onmessage=n=>{this.hear(n.data)}}painting;giveUp;channel=new BroadcastChannel(Tn);holds=!1;heard=null;isTaken(){return this.answer("who paints?","I do")}hold(){this.holds=!0}async takeOver(){await this.answer("give it to me","you have it")}close(){this.channel.close()}async hear({painting:e,says:t}){if(e===this.painting){if(t==="I do"||t==="you have it")return this.heard?.(t);if(this.holds){if(t==="who paints?")return this.say("I do");this.holds=!1,await this.giveUp(),this.say("you have it")}}}answer(e,t){return new Promise(n=>{let i=setTimeout(()=>n(!1),120);this.heard=o=>{o===t&&(clearTimeout(i),n(!0))},this.say(e)})}say(e){this.channel.postMessage({painting:this.painting,says:e})}};var $=4e3,vt=6e4,Mn=5e3,Cn=15*6e4,He=1e4,Dn=3e4,me=class{constructor(e,t,n,i,o){this.server=e;this.patch=t;this.journal=n;this.data=i;this.events=o;this.draftRevision=t.facts.draft?.revision??0,this.windows=new pe(ze(i),()=>this.giveUpToAnotherWindow())}server;patch;journal;data;events;notice=null;mayPaint=!1;said="";isBad=!1;isSaving=!1;unsaved=0;undrafted=0;draftRevision;retryMs=$;draftTimer=0;drafting=Promise.resolve();holdTimer=0;lastActive=Date.now();draftsPaused=!1;hasHeld=!1;windows;lastWrite=Promise.resolve();ended=!1;get strokes(){return this.unsaved}async begin(){if(this.mayPaint=!this.data.readOnly&&this.patch.facts.mayPaint,!!this.mayPaint){if(await this.windows.isTaken())return this.inAnotherWindow();this.windows.hold(),this.takeHold(null),await this.offerUnsaved()}}add(e){let t=()=>({voxels:Un(this.patch.drawing.voxels,e),versions:this.patch.base,continued:this.patch.continued});this.unsaved+=1,this.undrafted+=1,this.lastActive=Date.now(),this.journal&&(this.lastWrite=this.journal.add(e,t).catch(()=>this.tell("This browser does not keep your strokes (is its storage full?): save now.",!0))),this.planDraft($),this.events.told()}kept(){return this.lastWrite}async save(){if(this.isSaving||!this.mayPaint||this.notice?.blocks)return;this.isSaving=!0,clearTimeout(this.draftTimer),this.events.told(),await this.drafting;let e=this.patch.drawing.voxels.slice(),t=this.unsaved,n=this.journal?.strokes??0;try{let{base:i,continued:o,shape:s}=this.patch;this.accept(await this.server.save(e,s,i,o),e,t,n)}catch(i){this.notSaved(i)}finally{this.isSaving=!1,this.events.told()}}async goOnWith(e){let{patch:t}=this,n=t.joined(e);for(let{slot:o}of e)t.continued={...t.continued,[o.name]:o.version};let i=t.replace(n);t.history=new O,await this.journal?.clear(),this.add(i),this.events.changed()}async startOver(){let{patch:e}=this;e.continued={},e.base=e.facts.base,e.replace(e.saved),e.history=new O,this.unsaved=this.undrafted=0,await this.journal?.clear(),await this.drafting,await this.server.forgetDraft().catch(()=>{}),this.draftRevision=0,this.draftsPaused=!1,this.notice=null,this.events.changed()}active(){this.lastActive=Date.now()}end(){this.ended=!0,clearTimeout(this.draftTimer),clearTimeout(this.holdTimer),this.windows.close(),this.mayPaint&&this.server.letGo(),this.lastWrite.finally(()=>this.journal?.close())}dismiss(){this.notice=null,this.events.told()}inAnotherWindow(){this.mayPaint=!1;let e=async()=>{this.dismiss(),await this.windows.takeOver(),this.patch.facts=await this.server.facts(),this.draftRevision=this.patch.facts.draft?.revision??0,await this.begin()};this.ask({text:"You paint on this patch in another window.",bad:!1,blocks:!1,choices:[{text:"Only look",act:()=>this.dismiss()},{text:"Paint here",act:()=>{e().catch(t=>this.notSaved(t))}}]})}async giveUpToAnotherWindow(){this.mayPaint=!1,clearTimeout(this.draftTimer),clearTimeout(this.holdTimer),await this.lastWrite,this.tell("You paint on this patch in another window now.")}async offerUnsaved(){let{patch:e}=this,t=await this.journal?.read().catch(()=>null),n=t?ft(t):null,i=e.facts.draft?await this.server.draft().catch(()=>null):null,o=l=>l!==null&&l.length===e.grid.size&&!Ie(l,e.saved),s=[];if(t&&o(n)&&s.push({text:On(t),act:()=>this.restore(t)}),i&&o(i.voxels)&&!(n&&Ie(n,i.voxels))){let l=H(e.facts.draft.savedAt);s.push({text:`Go on with the draft on the server (${l})`,act:()=>this.take(i)})}if(!s.length){t&&await this.journal?.clear();return}s.push({text:"Start from the saved version",act:()=>{this.startOver()}}),this.ask({text:"There is unsaved work of yours on this patch.",bad:!1,blocks:!0,choices:s})}restore(e){let{patch:t}=this;t.base=e.base.versions,t.continued=e.base.continued,t.drawing.voxels.set(e.base.voxels);for(let n of e.strokes)T(n,t.drawing.voxels);t.history=new O(e.strokes),t.recount(),this.journal?.goOn(e),this.unsaved=this.undrafted=e.strokes.length,this.answered()}take(e){this.patch.base=e.base??this.patch.facts.base,this.patch.continued=e.continued;let t=this.patch.replace(e.voxels);(this.journal?.clear()??Promise.resolve()).then(()=>{this.patch.history.add(t),this.add(t),this.answered()})}answered(){this.notice=null,this.planDraft($),this.events.changed()}accept(e,t,n,i){let{patch:o}=this,s=o.continued;o.facts=e.facts,o.base=e.facts.base,o.saved=t,o.layers=o.layers.filter(a=>!(a.slot.name in s)),o.continued={},o.recount(),this.unsaved-=n,this.undrafted=Math.min(this.undrafted,this.unsaved),this.draftRevision=0,this.draftsPaused=!1,this.notice=null,this.lastWrite=this.journal?.rebase({voxels:t,versions:o.base,continued:{}},i)??Promise.resolve(),this.unsaved&&this.planDraft($),this.tell(Rn(e)),this.events.saved(e)}notSaved(e){let t=this.journal?"Your strokes are kept in this browser.":"Do not close this page.";if(e instanceof v&&e.status===G)this.offerBoth(e.message);else if(e instanceof D)this.planDraft(this.retryMs),this.tell(`Not saved: the server cannot be reached. ${t} Save again when it is back.`,!0);else{let n=e instanceof v?e.message:String(e);this.tell(`Not saved: ${n}${Be(e)?"":` ${t}`}`,!0)}}async offerBoth(e){try{let t=await this.server.facts();if(t.hold&&t.hold.personId!==this.data.person.id)return this.takenOver(t.hold);let{layers:n,saved:i}=await ce(this.server,t,!1),o=s=>{this.patch.facts=t,this.patch.layers=n,this.patch.saved=i,this.patch.base=t.base,this.patch.continued=s===i?{}:In(this.patch.continued,t),this.notice=null;let a=this.patch.replace(s??this.patch.drawing.voxels);a.length&&(this.patch.history.add(a),this.add(a)),this.events.changed()};this.ask({text:e,bad:!0,blocks:!0,choices:[{text:"Save what is painted here",act:()=>{o(null),this.save()}},{text:"Take the saved one",act:()=>o(i)},{text:"Join both",act:()=>o(Ln(this.patch.drawing.voxels,i))}]})}catch(t){this.notSaved(t instanceof v&&t.status===G?new D:t)}}async takeHold(e){try{await this.server.hold(e),this.mayPaint||await this.lookAgain(),this.mayPaint=!0,this.notice?.choices.some(t=>t.text===yt)&&(this.notice=null),this.planHeartbeat(this.hasHeld?vt:Mn),this.hasHeld=!0}catch(t){t instanceof v&&t.status===G?await this.heldByAnother(t.message):t instanceof v?this.refusedHold(t):this.planHeartbeat(He)}this.events.told()}async lookAgain(){let{patch:e,server:t}=this;e.facts=await t.facts(),e.layers=(await ce(t,e.facts,!1)).layers,e.recount(),this.events.changed()}async heldByAnother(e){let{hold:t}=await this.server.facts();if(!t||t.personId===this.data.person.id)return this.mayPaint=!1,this.tell(e,!0);this.takenOver(t)}takenOver(e){this.mayPaint=!1,clearTimeout(this.draftTimer);let t=this.unsaved?" Your unsaved strokes are kept in this browser.":"";this.ask({text:`${e.person} paints on this patch since ${H(e.since)}.${t}`,bad:!1,blocks:!1,choices:[{text:"Only look",act:()=>this.dismiss()},{text:yt,act:()=>{this.takeHold(e.since)}},{text:"Wait until it is free",act:()=>this.wait()}]})}wait(){this.dismiss(),this.tell("Waiting until the patch is free …"),clearTimeout(this.holdTimer),this.holdTimer=$e(He,async()=>{let e=await this.server.facts().catch(()=>null);if(!this.ended){if(e&&!e.hold)return this.tell("The patch is free: you hold it now."),this.takeHold(null);this.wait()}})}refusedHold(e){Be(e)?this.planHeartbeat(He):this.mayPaint=!1,this.tell(e.message,!0)}planHeartbeat(e){clearTimeout(this.holdTimer),this.holdTimer=$e(e,async()=>{this.ended||(Date.now()-this.lastActive<Cn?await this.takeHold(null):this.planHeartbeat(vt))})}planDraft(e){clearTimeout(this.draftTimer),!(!this.undrafted||!this.mayPaint||this.draftsPaused||this.ended)&&(this.draftTimer=$e(e,()=>this.drafting=this.draft()))}async draft(){if(this.isSaving||this.notice?.blocks)return this.planDraft($);let e=this.undrafted;try{let t=this.patch.drawing.voxels.slice(),{shape:n,base:i,continued:o}=this.patch,s=await this.server.keepDraft(t,n,this.draftRevision,i,o);this.draftRevision=s.revision,this.undrafted-=e,this.retryMs=$,this.isSaving||this.tell(`Draft kept at ${H(s.savedAt)}`)}catch(t){this.draftFailed(t)}this.planDraft(this.retryMs)}draftFailed(e){this.retryMs=Math.min(this.retryMs*2,Dn),e instanceof D?this.tell(`The server cannot be reached; your ${fe(this.unsaved)} are kept in this browser.`,!0):e instanceof v&&e.status===G?(this.draftsPaused=!0,this.tell("You paint on this patch in another window too, or saved it there; drafts stop here until you save.",!0)):this.tell(e instanceof v?e.message:String(e),!0)}ask(e){this.notice=e,this.events.told()}tell(e,t=!1){this.said=e,this.isBad=t,this.events.told()}},yt="Take it over";function ze({person:r,object:e}){return`${location.host}/${r.id}/${e}`}function H(r){return new Date(r).toLocaleTimeString([],{hour:"2-digit",minute:"2-digit",hourCycle:"h23"})}function fe(r){return r===1?"1 stroke":`${r} strokes`}function Rn({versions:r,withdrawn:e,savedAt:t,facts:n}){let i=Object.keys(r).length?r:n.base,o=Object.entries(i).map(([a,l])=>`${a.split(".")[0]} version ${l}`),s=e.map(a=>`${a.split(".")[0]} withdrawn`);return[`Saved at ${H(t)}`,...o,...s].join(", ")}function On(r){let e=H(new Date(r.at).toISOString());return`Go on with the ${fe(r.strokes.length)} kept in this browser (${e})`}function Un(r,e){let t=new Uint8Array(r);for(let n=0;n<e.length;n+=3)t.fill(e[n+2]&255,e[n],e[n]+e[n+1]);return t}function In(r,{slots:e}){let t=e.filter(n=>!n.mine&&n.version===r[n.name]);return Object.fromEntries(t.map(n=>[n.name,n.version]))}function Ln(r,e){return Uint8Array.from(r,(t,n)=>t||e[n])}function $e(r,e){return setTimeout(()=>{e()},r)}function bt(r,e){let t=r.reduce((s,a)=>s+a,0);if(t===0)return{black:0,white:255};let n=t*e/100,i=gt(r,n),o=255-gt([...r].reverse(),n);return o>i?{black:i,white:o}:{black:0,white:255}}function xt(r,e,t){let n=(r.black+r.white)/2-e/2,i=Math.max((r.white-r.black)/2*Math.exp(t/200),2);return{black:n-i,white:n+i}}function wt({black:r,white:e}){let t=new Uint32Array(256);for(let n=0;n<256;n++){let i=Math.round(255*(n-r)/(e-r)),o=Math.min(Math.max(i,0),255);t[n]=4278190080|o<<16|o<<8|o}return t}function gt(r,e){let t=0;for(let[n,i]of r.entries())if(t+=i,t>e)return n;return 255}function c(r,e,...t){let n=document.createElement(r);return n.className=e,n.append(...t),n}function f(r,e,t){let n=c("button","",r);return n.type="button",n.title=e,n.addEventListener("click",t),n}function Ze(r,e,[t,n,i],o){let s=c("input","");return s.type="range",s.min=String(t),s.max=String(n),s.step=String(i),s.value=String(e),s.addEventListener("input",()=>o(Number(s.value))),c("label","slider",r,s)}var ve=41,ye=20;function N(r){return{column:Math.floor(r.column),row:Math.floor(r.row)}}function Ke(r){let e=r/2,t=Math.floor(e),n=r%2===0?.5:0,i=[];for(let o=-t;o<=t;o++)for(let s=-t;s<=t;s++)Math.hypot(o+n,s+n)<=e&&i.push({column:s,row:o});return i}function Fe(r,e){let t=[],{column:n,row:i}=r,o=Math.abs(e.column-n),s=-Math.abs(e.row-i),a=n<e.column?1:-1,l=i<e.row?1:-1,h=o+s;for(;;){if(t.push({column:n,row:i}),n===e.column&&i===e.row)return t;let d=2*h;d>=s&&(h+=s,n+=a),d<=o&&(h+=o,i+=l)}}function At(r,e,t,n,i,o){let s=r.shape[U(e)],a=r.shape[I(e)],l=Math.max(t[e]-n,0),h=Math.min(t[e]+n,r.shape[e]-1),{rowStep:d,columnStep:p}=r.plane(e,0),u=r.strides[e];for(let{column:g,row:A}of i){if(g<0||A<0||g>=a||A>=s)continue;let B=A*d+g*p;for(let k=l;k<=h;k++)o(B+k*u)}}function*je(r,e,t){let n=Ke(t);for(let{column:i,row:o}of Fe(r,e))for(let s of n)yield{column:i+s.column,row:o+s.row}}function Pt(r,e,t){let n=r[t],i=new We(r.length);i.add(t);for(let o=0;o<i.count;o++)Nn(i.voxels[o],e,s=>{r[s]===n&&i.add(s)});return i.voxels.slice(0,i.count)}var We=class{voxels=new Int32Array(4096);count=0;isMember;constructor(e){this.isMember=new Uint8Array(e)}add(e){if(!this.isMember[e]){if(this.isMember[e]=1,this.count===this.voxels.length){let t=new Int32Array(this.voxels.length*2);t.set(this.voxels),this.voxels=t}this.voxels[this.count++]=e}}};function Nn(r,[e,t,n],i){let o=r%n,s=Math.floor(r/n)%t,a=Math.floor(r/(n*t)),l=Math.min(a+1,e-1),h=Math.min(s+1,t-1),d=Math.min(o+1,n-1);for(let p=Math.max(a-1,0);p<=l;p++)for(let u=Math.max(s-1,0);u<=h;u++){let g=(p*t+u)*n;for(let A=Math.max(o-1,0);A<=d;A++)i(g+A)}}var Et=[["a  d  i  e","Add, Remove, Ignore, eraser"],["b  l  g","pen, filled outline, whole piece of the prediction"],["[ ]   , .","pen size; slices on both sides"],["w","where: only on prediction, only outside, anywhere"],["z  Shift+z","undo, redo (also with Ctrl)"],["s","save"],["↑ ↓, wheel","next slice (with Shift or Page keys: ten)"],["Shift + drag","move the other planes here"],["right drag","contrast; k for automatic"],["middle or Space + drag","pan; + − or Ctrl + wheel: zoom; 0: whole plane"],["1 2 3","show XY, XZ or YZ large; y: y up, as 3dmod"],["v  o","next view; overlay on or off"],["j  m","next comment; pin a comment"],["t","3D"]],Bn={a:{name:"kind",kind:1},d:{name:"kind",kind:2},i:{name:"kind",kind:3},e:{name:"kind",kind:0},b:{name:"tool",tool:"pen"},l:{name:"tool",tool:"outline"},g:{name:"tool",tool:"component"},m:{name:"tool",tool:"comment"},"[":{name:"size",by:-1},"]":{name:"size",by:1},",":{name:"through",by:-1},".":{name:"through",by:1},w:{name:"where"},z:{name:"undo"},Z:{name:"redo"},s:{name:"save"},ArrowUp:{name:"slices",by:1},ArrowDown:{name:"slices",by:-1},PageUp:{name:"slices",by:10},PageDown:{name:"slices",by:-10},1:{name:"plane",axis:0},2:{name:"plane",axis:1},3:{name:"plane",axis:2},"+":{name:"zoom",factor:1.25},"=":{name:"zoom",factor:1.25},"-":{name:"zoom",factor:.8},0:{name:"fit"},o:{name:"overlay"},v:{name:"view",by:1},j:{name:"comment",by:1},y:{name:"flip"},k:{name:"contrast"},t:{name:"volume3d"},"?":{name:"help"},Escape:{name:"dismiss"}},Vn={z:{name:"undo"},Z:{name:"redo"},y:{name:"redo"},s:{name:"save"}};function kt(r){if(r.altKey)return null;if(r.ctrlKey||r.metaKey)return Vn[r.key]??null;let e=Bn[r.key]??null;return r.shiftKey&&(r.key==="ArrowUp"||r.key==="ArrowDown")&&e?.name==="slices"?{name:"slices",by:e.by*10}:e}function St(r,e,t){let n=10/r*e,i=t/n,o=10**Math.floor(Math.log10(i)),s=[5,2,1].find(a=>a*o<=i)??1;return{nanometers:s*o,pixels:s*o*n}}function _e(r,e,t,n,i){let o=Math.min(t/r,n/e);return{scale:o,left:(t-r*o)/2,top:(n-e*o)/2,flipped:i}}function Y(r,e,t){let n=r.flipped?t-e.row:e.row;return{x:r.left+e.column*r.scale,y:r.top+n*r.scale}}function Tt(r,e,t,n){let i=(t-r.top)/r.scale;return{column:(e-r.left)/r.scale,row:r.flipped?n-i:i}}function Mt(r,e,t,n,i){let o=Math.min(Math.max(r.scale*e,i),16),s=o/r.scale;return{...r,scale:o,left:t-(t-r.left)*s,top:n-(n-r.top)*s}}function Ct(r,e,t,n,i){let o=(s,a,l)=>Math.min(Math.max(s,l*.25-a),l*.75);return{...r,left:o(r.left+e,n.width*r.scale,i.width),top:o(r.top+t,n.height*r.scale,i.height)}}function Dt(r,e,t){let{context:n,view:i,axis:o,shape:s,pixelRatio:a}=r,{width:l,height:h}=P(s,o),{x:d,y:p}=Hn(r,e,.5),u=10*a,g=i.left+l*i.scale,A=i.top+h*i.scale;n.save(),n.strokeStyle=t,n.globalAlpha=.7,n.lineWidth=a,n.beginPath();for(let[B,k,J,sn]of[[i.left,p,d-u,p],[d+u,p,g,p],[d,i.top,d,p-u],[d,p+u,d,A]])n.moveTo(B,k),n.lineTo(J,sn);n.stroke(),n.restore()}function Rt(r,e){let{context:t,view:n,pixelRatio:i}=r,o=St(e,n.scale,t.canvas.width*.25),s=12*i,a=t.canvas.height-14*i;t.save(),t.shadowColor="black",t.shadowBlur=3*i,t.fillStyle="white",t.fillRect(s,a,o.pixels,4*i),t.font=`600 ${12*i}px system-ui, sans-serif`,t.fillText(`${o.nanometers} nm`,s,a-6*i),t.restore()}function Hn(r,e,t=0){let{axis:n,view:i,shape:o}=r,s=K(e,n),{height:a}=P(o,n);return Y(i,{column:s.column+t,row:s.row+t},a)}function $n(r){let e=Ut(r.length),t=0,n=new Uint32Array(r.buffer,r.byteOffset,r.length>>2);for(let i=0;i<n.length;i++)if(n[i])for(let o=i*4;o<i*4+4;o++)r[o]&&(e[t++]=o);for(let i=n.length*4;i<r.length;i++)r[i]&&(e[t++]=i);return e.slice(0,t)}function zn(r,e,t,n=1){let i=r.slice(),o=$n(r),s=Ut(r.length),a=0,l=o.length;for(let h=0;h<n;h++){let d=a,p=0;for(let u=0;u<l;u++){let g=o[u];Zn(i,g,e,t)?o[p++]=g:s[a++]=g}for(let u=d;u<a;u++)i[s[u]]=0;l=p}return s.slice(0,a)}function Ot(r,e,t){let n=new Uint8Array(r.length);for(let i of zn(r,e,t))n[i]=1;return n}var Ge=new Uint32Array(0);function Ut(r){return Ge.length<r&&(Ge=new Uint32Array(r)),Ge}function Zn(r,e,t,n){let i=e%t;return!(i===0||i===t-1||e<t||e>=t*(n-1))&&!!(r[e-1]&&r[e+1]&&r[e-t]&&r[e+t])}function It(r){let e=Number.parseInt(r.slice(1),16);return[e>>16&255,e>>8&255,e&255]}var Kn=[.5,.36],Lt=8,Fn=4278190080;function Nt(r,e,t,n){let i=new Uint32Array(r.length);for(let o=0;o<r.length;o++){let s=e[r[o]];i[o]=t[o]?s:Wn(s,Kn[Number(jn(o,n))])}return i}function ge(r,e,t,n){let i=e.map(o=>Vt(o,n));for(let o=0;o<r.length;o++){let s=i[t(o)];s>>>24&&(r[o]=s)}}function Bt(r,e,t,n){let i=Vt(e,1);for(let o=0;o<r.length;o++)o%n+Math.floor(o/n)&1&&t(o)&&(r[o]=i)}function Vt([r,e,t,n],i){return(Math.round(n*i*255)<<24|t<<16|e<<8|r)>>>0}function jn(r,e){return(r%e+Math.floor(r/e))%Lt<Lt/2}function Wn(r,e){let t=(r&255)*e;return Fn|t<<16|t<<8|t}var be=["corrections","result","before","difference"],xe=["after","before","difference","corrections"],Ye={corrections:"Corrections",result:"Result",before:"Before",after:"After",difference:"Difference"},X=[0,0,0,0];function $t(r){let e=(t,n)=>[...It(t),n];return{kinds:[X,e(r.add,1),e(r.remove,1),e(r.ignore,1)],membrane:e(r.prediction,1),warning:e(r.warning,1)}}function zt(r,e){return Array.from({length:64},(t,n)=>Gn(r,n,e))}function Xe(r,e,t,n){let{kinds:i,membrane:o}=n;return r==="before"?Ht(e,n):r==="after"?Ht(t,n):e===t?t===m?_n(o):X:t===R?i[3]:t===m?i[1]:i[2]}function _n([r,e,t]){return[r,e,t,.3]}function Gn(r,e,t){let n=oe(e);return _(e)?r==="corrections"?se(e)?t.warning:Yn(e&7,t):r==="result"?Xn(n,W[e],t):Xe(r,n,W[e],t):ae(e)?t.warning:X}function Yn(r,{kinds:e}){return r&4?e[3]:r&1?e[1]:r&2?e[2]:e[0]}function Xn(r,e,{kinds:t,membrane:n}){return e===R?t[3]:e!==m?X:r===m?n:t[1]}function Ht(r,{kinds:e,membrane:t}){return r===m?t:r===R?e[3]:X}var qn=.9;function Zt(r,e){let{patch:t}=r,n=t.grid.plane(e,r.at[e]),i=C(t.grid.inside,n);return Nt(C(t.gray,n),wt(r.contrast),i,n.columns)}function Kt(r,e){let{patch:t}=r,n=t.grid.plane(e,r.at[e]),{columns:i,rows:o}=n,s=new Uint32Array(i*o);if(!r.overlay)return s;let a=C(t.predicted,n);if(t.merged&&r.view!=="corrections"?er(r,s,a,C(t.merged,n),C(t.grid.inside,n)):Jn(r,s,e),r.view==="corrections"||r.view==="difference"){let l=Ot(a.map(h=>+(h===m)),i,o);ge(s,[Ft,r.palette.membrane],h=>l[h],qn)}return s}var Ft=[0,0,0,0];function Jn(r,e,t){let{patch:n,palette:i}=r,o=n.grid.plane(t,r.at[t]),s=C(n.result.fixed,o),a=C(n.drawing.voxels,o);Qn(r,s,t);for(let l=0;l<s.length;l++)s[l]|=M[a[l]];ge(e,zt(r.view,i),l=>s[l],r.opacity),r.view!=="before"&&Bt(e,i.warning,l=>se(s[l])||ae(s[l]),o.columns)}function Qn(r,e,t){let{patch:n,view:i}=r;if(i!=="corrections"||n.layers.every(s=>s.shown))return;let o=n.grid.plane(t,r.at[t]);for(let s=0;s<e.length;s++)e[s]&=-8;for(let s of n.layers){if(!s.shown||s.slot.name in n.continued)continue;let a=C(s.claims,o);for(let l=0;l<e.length;l++)e[l]|=a[l]}}function er(r,e,t,n,i){let o=r.view==="result"?"after":r.view,s=Array.from({length:16},(a,l)=>Xe(o,l>>2,l&3,r.palette));s[0]=Ft,ge(e,s,a=>i[a]?t[a]<<2|n[a]:0,r.opacity)}var tr=1.0015,we=50,jt="#ffffff",Ae=class{constructor(e,t,n){this.axis=e;this.scene=t;this.events=n;this.element.className="pane",this.caption.className="caption",this.element.append(this.canvas,this.caption),this.context=this.canvas.getContext("2d"),this.listen()}axis;scene;events;element=document.createElement("div");canvas=document.createElement("canvas");caption=document.createElement("span");context;gray=new OffscreenCanvas(1,1);overlay=new OffscreenCanvas(1,1);view=null;isTouched=!1;wheel=0;pointer=null;lasso=[];isPanning=!1;get shows(){return this.axis}show(e){e!==this.axis&&(this.axis=e,this.fit())}fit(){this.isTouched=!1,this.view=null}zoom(e){this.zoomAt(e,this.canvas.width/2,this.canvas.height/2)}update(){let e=this.scene();if(!e)return;let{width:t}=P(e.patch.shape,this.axis);Wt(this.gray,Zt(e,this.axis),t),Wt(this.overlay,Kt(e,this.axis),t),this.draw()}draw(){let e=this.scene();if(!e)return;let{context:t,canvas:n}=this,i=this.viewport(e),o=P(e.patch.shape,this.axis);t.setTransform(1,0,0,1,0,0),t.clearRect(0,0,n.width,n.height),t.save(),i.flipped&&(t.translate(0,2*i.top+o.height*i.scale),t.scale(1,-1));let s=[i.left,i.top,o.width*i.scale,o.height*i.scale];t.imageSmoothingEnabled=!0,t.drawImage(this.gray,...s),t.imageSmoothingEnabled=!1,t.drawImage(this.overlay,...s),t.restore(),this.drawMarks(e,i);let a=e.patch.shape[this.axis]-1;this.caption.textContent=`${at[this.axis]}  ${"zyx"[this.axis]} = ${e.at[this.axis]} / ${a}`}resize(){let e=this.element.getBoundingClientRect(),t=Math.max(1,Math.round(e.width*devicePixelRatio)),n=Math.max(1,Math.round(e.height*devicePixelRatio));t===this.canvas.width&&n===this.canvas.height||(this.canvas.width=t,this.canvas.height=n,this.isTouched||(this.view=null),this.draw())}pageOf(e){let t=this.scene(),n=P(t.patch.shape,this.axis),i=K(e,this.axis),o={column:i.column+.5,row:i.row+.5},{x:s,y:a}=Y(this.viewport(t),o,n.height),l=this.canvas.getBoundingClientRect();return{x:l.left+s*l.width/this.canvas.width,y:l.top+a*l.height/this.canvas.height}}drawMarks(e,t){let{context:n}=this,i={context:n,view:t,axis:this.axis,shape:e.patch.shape,pixelRatio:devicePixelRatio};Dt(i,e.at,e.data.colors.selected);let o=e.patch.facts.voxelSizeAngstrom;o&&Rt(i,o);for(let s of e.patch.facts.comments)s.at&&!s.resolved&&this.drawPin(e,t,s.at);e.pin&&this.drawPin(e,t,e.pin),this.lasso.length?this.drawLasso(e,t):this.pointer&&e.mayPaint&&e.tool.name==="pen"&&this.drawBrush(e,t)}drawPin(e,t,n){let{context:i}=this,o=Math.abs(n[this.axis]-e.at[this.axis]);if(o>4)return;let{x:s,y:a}=this.onCanvas(e,t,rr(K(n,this.axis)));i.save(),i.beginPath(),i.arc(s,a,7*devicePixelRatio,0,2*Math.PI),i.lineWidth=2*devicePixelRatio,i.strokeStyle=e.data.colors.selected,i.globalAlpha=o===0?1:.5,i.stroke(),i.restore()}drawBrush(e,t){let{context:n}=this,{column:i,row:o}=N(this.pointer),s=new Set(Ke(e.tool.brush.size).map(a=>`${a.column},${a.row}`));n.save(),n.beginPath();for(let a of s){let[l,h]=a.split(",").map(Number);for(let[d,p,u,g,A,B]of nr){if(s.has(`${l+d},${h+p}`))continue;let k=this.onCanvas(e,t,{column:i+l+u,row:o+h+g}),J=this.onCanvas(e,t,{column:i+l+A,row:o+h+B});n.moveTo(k.x,k.y),n.lineTo(J.x,J.y)}}n.lineWidth=3*devicePixelRatio,n.strokeStyle="rgba(0,0,0,.6)",n.stroke(),n.lineWidth=1.2*devicePixelRatio,n.strokeStyle=qe(e),n.stroke(),n.restore()}drawLasso(e,t){let{context:n}=this;n.save(),n.beginPath();for(let i of this.lasso){let{x:o,y:s}=this.onCanvas(e,t,i);n.lineTo(o,s)}n.closePath(),n.globalAlpha=.25,n.fillStyle=qe(e),n.fill(),n.globalAlpha=1,n.lineWidth=1.5*devicePixelRatio,n.strokeStyle=qe(e),n.stroke(),n.restore()}onCanvas(e,t,n){return Y(t,n,P(e.patch.shape,this.axis).height)}viewport(e){if(!this.view||this.view.flipped!==e.flipped){let{width:t,height:n}=P(e.patch.shape,this.axis);this.view=_e(t,n,this.canvas.width,this.canvas.height,e.flipped)}return this.view}zoomAt(e,t,n){let i=this.scene();if(!i)return;let{width:o,height:s}=P(i.patch.shape,this.axis),a=_e(o,s,this.canvas.width,this.canvas.height,!1).scale/2;this.view=Mt(this.viewport(i),e,t,n,a),this.isTouched=!0,this.draw()}listen(){let{canvas:e}=this;e.addEventListener("wheel",t=>this.wheeled(t),{passive:!1}),e.addEventListener("pointerdown",t=>this.pressed(t)),e.addEventListener("pointermove",t=>this.hover(t)),e.addEventListener("pointerleave",()=>{this.pointer=null,this.draw(),this.events.hovered(null)}),e.addEventListener("contextmenu",t=>t.preventDefault())}wheeled(e){e.preventDefault();let[t,n]=this.pixel(e);if(e.ctrlKey||e.metaKey)return this.zoomAt(tr**-e.deltaY,t,n);this.wheel+=Math.abs(e.deltaY)>=we?Math.sign(e.deltaY)*we:e.deltaY;let i=Math.trunc(this.wheel/we);this.wheel-=i*we,i&&this.events.scrolled(this.axis,e.shiftKey?i*10:i)}pressed(e){this.scene()&&(this.canvas.setPointerCapture(e.pointerId),e.button===2?this.follow(e,(t,n)=>this.events.contrastDragged(t,n)):e.button===1||this.isPanning?this.follow(e,(t,n)=>this.pan(t,n)):e.button===0&&(e.shiftKey||!this.scene().mayPaint)?this.point(e):e.button===0&&this.paint(e))}follow(e,t){let n=e;this.drag(i=>{t(i.clientX-n.clientX,i.clientY-n.clientY),n=i})}point(e){let t=n=>{let i=this.voxelAt(n);i&&this.events.moved(i)};if(this.scene().tool.name==="comment"&&!e.shiftKey)return this.events.pressed(this.axis,N(this.pointAt(e)));t(e),this.drag(t)}paint(e){let t=this.scene().tool.name,n=this.pointAt(e);if(t==="outline")return this.lassoFrom(n);let i=N(n);if(this.events.pressed(this.axis,i),t!=="pen")return;let o=s=>{let a=s.getCoalescedEvents?.()??[];for(let l of a.length?a:[s]){let h=N(this.pointAt(l));h.column===i.column&&h.row===i.row||(this.events.dragged(this.axis,i,h),i=h)}};this.drag(o,()=>this.events.released())}lassoFrom(e){this.lasso=[e];let t=n=>{this.lasso.push(this.pointAt(n)),this.draw()};this.drag(t,()=>{let n=this.lasso;this.lasso=[],this.events.lassoed(this.axis,n)})}drag(e,t=()=>{}){let{canvas:n}=this,i=()=>{n.removeEventListener("pointermove",e),n.removeEventListener("pointerup",i),n.removeEventListener("pointercancel",i),t()};n.addEventListener("pointermove",e),n.addEventListener("pointerup",i),n.addEventListener("pointercancel",i)}pan(e,t){let n=this.scene(),i=P(n.patch.shape,this.axis);this.view=Ct(this.viewport(n),e*devicePixelRatio,t*devicePixelRatio,i,this.canvas),this.isTouched=!0,this.draw()}hover(e){this.pointer=this.pointAt(e),e.buttons||this.draw(),this.events.hovered(this.voxelAt(e))}voxelAt(e){let t=this.scene();if(!t)return null;let n=this.pointAt(e),{width:i,height:o}=P(t.patch.shape,this.axis);return n.column>=0&&n.row>=0&&n.column<i&&n.row<o?lt(n,this.axis,t.at,t.patch.shape):null}pointAt(e){let t=this.scene(),[n,i]=this.pixel(e);return Tt(this.viewport(t),n,i,P(t.patch.shape,this.axis).height)}pixel(e){let t=this.canvas.getBoundingClientRect();return[(e.clientX-t.left)*this.canvas.width/t.width,(e.clientY-t.top)*this.canvas.height/t.height]}},nr=[[-1,0,0,0,0,1],[1,0,1,0,1,1],[0,-1,0,0,1,0],[0,1,0,1,1,1]];function Wt(r,e,t){let n=e.length/t;r.width!==t&&(r.width=t),r.height!==n&&(r.height=n),r.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(e.buffer),t),0,0)}function rr({column:r,row:e}){return{column:r+.5,row:e+.5}}function qe({tool:r,data:e}){return r.kind===0||!st.includes(r.kind)?jt:[jt,e.colors.add,e.colors.remove,e.colors.ignore][r.kind]}var ir="http://www.w3.org/2000/svg",Je=264,Qe=74,Pe="M-4 50 C 50 16, 100 14, 140 30 S 220 62, 270 40",_t="M96 21.5 C 112 22, 126 25, 140 30 S 158 38, 168 42.5",Yt={0:"Takes back what you painted. The prediction itself stays.",1:"A membrane is clearly there, the prediction misses it. Draw it accurately.",2:"The prediction is wrong here. May be coarse, but only where no membrane is near.",3:"In doubt: one cannot tell where, or whether, a membrane is. May be coarse."},or={0:"A stroke of Add that went beside the membrane is erased.",1:"A membrane runs through; the prediction (blue) has a gap, and Add fills just the gap.",2:"A blob of prediction far from the membrane is covered coarsely by Remove.",3:"A membrane fades away; Ignore covers the region where it cannot be followed."};function Xt(r,e){let t=w("svg",{viewBox:`0 0 ${Je} ${Qe}`,role:"img",class:"example"}),n=w("title",{});return n.textContent=or[r],t.append(n,w("rect",{width:Je,height:Qe,fill:"#8d9396"}),...ar()),t.append(...sr[r](e)),t}var sr={0:({add:r,prediction:e})=>[...Ee(Pe),ke(Pe,e,"96 74 200"),Gt(_t,r,5),w("path",{d:"M176 20 l30 -8",stroke:r,"stroke-width":5,opacity:.35,"stroke-dasharray":"3 4"}),w("circle",{cx:200,cy:14,r:10,fill:"none",stroke:"#fff","stroke-width":1.5})],1:({add:r,prediction:e})=>[...Ee(Pe),ke(Pe,e,"96 78 200"),Gt(_t,r,5)],2:({remove:r,prediction:e})=>[...Ee("M-4 62 C 50 44, 100 46, 270 62"),ke("M-4 62 C 50 44, 100 46, 270 62",e,""),w("ellipse",{cx:190,cy:22,rx:26,ry:12,fill:r,opacity:.65}),w("path",{d:"M172 24 q 14 -12 36 -3",stroke:e,"stroke-width":3,fill:"none"})],3:({ignore:r,prediction:e})=>[...Ee("M-4 50 C 40 24, 80 20, 120 28"),w("path",{d:"M120 28 q 40 8 70 2",stroke:"#6d7275","stroke-width":6,fill:"none",opacity:.5,"stroke-dasharray":"7 9"}),ke("M-4 50 C 40 24, 80 20, 112 26",e,""),w("path",{d:"M112 8 C 150 2, 200 6, 214 26 S 190 62, 150 56 S 104 42, 112 8",fill:r,opacity:.6})]};function Ee(r){return[w("path",{d:r,stroke:"#3c4144","stroke-width":8,fill:"none"}),w("path",{d:r,stroke:"#979da0","stroke-width":2.4,fill:"none"})]}function ke(r,e,t){return w("path",{d:r,stroke:e,"stroke-width":3,fill:"none",...t?{"stroke-dasharray":t}:{}})}function Gt(r,e,t){return w("path",{d:r,stroke:e,"stroke-width":t,fill:"none","stroke-linecap":"round"})}function ar(){return Array.from({length:150},(r,e)=>{let t=e*73%Je,n=(e*41+e*e%17)%Qe;return w("rect",{x:t,y:n,width:5,height:4,fill:e%2?"#7f8588":"#a0a6a8",opacity:.5})})}function w(r,e){let t=document.createElementNS(ir,r);for(let[n,i]of Object.entries(e))t.setAttribute(n,String(i));return t}function qt(r,e){let t=[];return r.mayPaint&&r.tool.name!=="comment"?t.push(lr(r)):r.pin&&t.push(mr(r.pin,e)),t.push(cr(r),...hr(r,e),...ur(r,e)),r.mayPaint&&t.push(fr(e)),t}function et(r){let e=[["Membrane",r.membrane,""],["Added",r.added,""],["Removed",r.removed,""],["Ignored",r.ignored,""],["Contested",r.contested,"Claimed by more than one kind: ignore wins over add, add over remove."],["In the border",r.lost,"Painted in the outer 16 voxels, where every voxel is ignore: without effect."]],t=c("table","counts");for(let[n,i,o]of e){let s=c("tr",i&&o?"warned":"",c("td","",n),c("td","number",i.toLocaleString("en")));s.title=o,s.dataset.count=n.toLowerCase(),t.append(s)}return t}function lr(r){let{kind:e}=r.tool,t=Z[e],n=c("div",`rule ${t.toLowerCase()}`,c("h4","",t));return n.append(Xt(e,r.data.colors),c("p","",Yt[e])),n}function cr(r){let e=c("div","result"),t=r.data.readOnly&&r.patch.merged!==null;return e.append(c("h4","",t?"If merged now, voxels":"Result, voxels"),c("div","numbers",et(r.patch.result.counts()))),e}function hr(r,e){let{patch:t}=r,n=t.layers.filter(s=>!(s.slot.name in t.continued)),i=t.facts.slots.filter(s=>s.error);if(!t.layers.length&&!i.length)return[];let o=c("div","layers-of-others",c("h4","",r.data.readOnly?"Corrections":"Painted by others"));for(let s of n)o.append(dr(s,r.data.colors,e));for(let s of i)o.append(c("p","against",`${s.name}: ${s.error}`));r.mayPaint&&n.length&&o.append(f("Go on with their work","Their work becomes part of yours, one file a kind; their files are withdrawn when you save",()=>e.continued(n)));for(let s of Object.keys(t.continued))o.append(c("p","quietly",`${s} is continued in yours`));return[o]}function dr(r,e,t){let n=c("input","");n.type="checkbox",n.checked=r.shown,n.addEventListener("change",()=>{r.shown=n.checked,t.layersChanged()});let{slot:i}=r,o=c("label","layer",n);for(let s of i.kinds.length?i.kinds:[i.kind??""]){let a=c("span","chip");a.style.background={add:e.add,remove:e.remove,ignore:e.ignore}[s]??"",o.append(a)}return o.append(c("span","name",`${i.name}, ${i.author??"author unknown"}`)),o.title=[`version ${i.version}, ${i.origin}, ${H(i.at)}`,...i.findings].join(`
`),o}function ur(r,e){let{comments:t,mayComment:n}=r.patch.facts;if(!t.length&&!n)return[];let i=c("div","comments",c("h4","","Comments"));for(let o of t)i.append(pr(o,e));return t.length||i.append(c("p","quietly","None yet; m pins one to a voxel.")),[i]}function pr(r,e){let t=c("span","quietly",`${r.author??"somebody"}: `),n=c("p",r.resolved?"comment settled":"comment",t,r.text),{at:i}=r;if(i){let o=f(`${i[2]}, ${i[1]}, ${i[0]}`,"Go there (x, y, z)",()=>e.jumped(i));o.className="place",n.append(" ",o)}return n}function mr(r,e){let t=c("textarea","");t.rows=3,t.placeholder="What should one know about this place?";let n=f("Post","Keep this comment",()=>{t.value.trim()&&e.commented(t.value,r)}),i=`Comment at ${r[2]}, ${r[1]}, ${r[0]} (x, y, z)`;return setTimeout(()=>t.focus()),c("div","writing",c("h4","",i),t,n)}function fr(r){let e=f("Discard unsaved strokes","Back to the version that is saved",()=>{if(e.dataset.sure)return r.startedOver();e.dataset.sure="yes",e.textContent="Really discard them?"});return e.className="quiet",e}function Jt(r){if(!r.length)return[];let e=new Map,t=o=>{e.set(`${o.column},${o.row}`,o)};r.forEach((o,s)=>{let a=r[(s+1)%r.length];Fe(N(o),N(a)).forEach(t)});let n=r.map(o=>o.row),i=Math.ceil(Math.max(...n));for(let o=Math.floor(Math.min(...n));o<=i;o++){let s=vr(r,o+.5);for(let a=0;a+1<s.length;a+=2){let l=Math.floor(s[a+1]-.5);for(let h=Math.ceil(s[a]-.5);h<=l;h++)t({column:h,row:o})}}return[...e.values()]}function vr(r,e){let t=[];return r.forEach((n,i)=>{let o=r[(i+1)%r.length];n.row<=e!=o.row<=e&&t.push(n.column+(e-n.row)/(o.row-n.row)*(o.column-n.column))}),t.sort((n,i)=>n-i)}var tt={pen:"Pen",outline:"Outline",component:"Whole piece",comment:"Comment"},q=["anywhere","on prediction","outside prediction"],Se=class{kind=1;name="pen";brushes={0:{size:7,through:0,where:"anywhere"},1:{size:3,through:0,where:"outside prediction"},2:{size:9,through:0,where:"on prediction"},3:{size:15,through:2,where:"anywhere"}};get brush(){return this.brushes[this.kind]}nextPlace(){let{brush:e}=this;e.where=q[(q.indexOf(e.where)+1)%q.length]}};var yr={1:"a",2:"d",3:"i",0:"e"},gr={pen:"b",outline:"l",component:"g",comment:"m"};function en(r,e,t){let n=c("div","toolbar");return r.mayPaint&&n.append(...br(r,e,t)),n.append(xr(r,t),c("span","spring")),!r.mayPaint&&r.patch.facts.mayComment&&n.append(nn(r,"comment",t)),n.append(f("3D","The label in three dimensions (t)",t.volume3d)),n.append(f("?","Keys (?)",t.helped)),n}function tn(r,e,t){let n=c("div","toolbar brush");return r.mayPaint&&r.tool.name!=="comment"&&n.append(...wr(r,e)),n.append(Ze("Overlay",r.opacity,[.1,1,.05],i=>{r.opacity=i,e.changed()}),c("span","spring"),t),n}function br(r,e,t){let{tool:n,patch:i}=r,o=c("div","group kinds");for(let d of[1,2,3,0]){let p=Z[d],u=f(p,`${p} (${yr[d]})`,()=>t.kindChosen(d));u.dataset.kind=p.toLowerCase(),u.setAttribute("aria-pressed",String(n.kind===d&&n.name!=="comment")),o.append(u)}let s=c("div","group",...["pen","outline","component","comment"].map(d=>nn(r,d,t))),a=f("Undo","Undo (z)",t.undone),l=f("Redo","Redo (Shift+z)",t.redone);a.disabled=!i.history.canUndo,l.disabled=!i.history.canRedo;let h=f(e.isSaving?"Saving …":"Save","Save as a version (s)",t.saved);return h.className="save",h.disabled=e.isSaving||!e.unsaved,[o,s,c("div","group",a,l),h]}function nn(r,e,t){let n=f(tt[e],`${tt[e]} (${gr[e]})`,()=>t.toolChosen(e));return n.dataset.tool=e,n.setAttribute("aria-pressed",String(r.tool.name===e)),n}function xr(r,e){let t=c("div","group views");for(let n of r.data.readOnly?xe:be){let i=f(Ye[n],`Show ${Ye[n].toLowerCase()} (v)`,()=>e.viewChosen(n));i.dataset.view=n,i.setAttribute("aria-pressed",String(r.view===n)),t.append(i)}return t}function wr(r,e){let{brush:t,name:n,kind:i}=r.tool,o=[];return n==="pen"&&o.push(Qt("Size",t.size,[1,ve],s=>{t.size=s,e.changed()})),n!=="component"&&o.push(Qt("± slices",t.through,[0,ye],s=>{t.through=s,e.changed()})),i!==0&&n!=="component"&&o.push(Ar(r,e)),n==="component"&&o.push(c("span","word",`Click a piece of the prediction: ${Z[i]} takes all of it, in 3D.`)),o}function Ar(r,e){let t=c("select","");t.title="Where this brush paints (w)";for(let n of q){let i=c("option","",n);i.value=n,i.selected=n===r.tool.brush.where,t.append(i)}return t.addEventListener("change",()=>{r.tool.brush.where=t.value,e.changed()}),c("label","slider","Paints",t)}function Qt(r,e,[t,n],i){let o=c("output","",String(e)),s=Ze(r,e,[t,n,1],a=>{o.textContent=String(a),i(a)});return s.append(o),s}var Pr=800,Er="This browser has no WebGL2, so there is no 3D view. The three planes work as ever; for 3D, take the tool-off kit and open it in MITK or napari.",Te=class{constructor(e){this.label=e;this.element.hidden=!0}label;element=c("div","pane volume3d");renderer=null;isOpen=!1;timer=0;toggle(e){if(this.isOpen=!this.isOpen,this.element.hidden=!this.isOpen,!this.isOpen)return this.end();this.element.dataset.state="opening",this.element.replaceChildren(c("p","word","Opening the 3D view …")),this.open(e)}refreshSoon(){this.renderer&&(clearTimeout(this.timer),this.timer=setTimeout(()=>{this.refresh()},Pr))}end(){clearTimeout(this.timer),this.renderer?.end(),this.renderer=null,this.element.replaceChildren()}async open(e){if(!kr())return this.cannot(Er);try{let t=await import(new URL(e,document.baseURI).href),n=document.createElement("canvas");this.element.replaceChildren(n,f("×","Close (t)",()=>this.toggle(e))),this.renderer=await t.default(n),await this.refresh(),this.element.dataset.state="shown"}catch(t){this.cannot(`The 3D view does not open (${String(t)}); the three planes work as ever.`)}}async refresh(){let e=this.label();e&&await this.renderer?.show(e)}cannot(e){this.element.dataset.state="none",this.element.replaceChildren(c("p","word",e))}};function kr(){try{return document.createElement("canvas").getContext("webgl2")!==null}catch{return!1}}var Tr=3e3,Me=class{constructor(e){this.component=e;this.panes=Re.map(a=>new Ae(a,()=>this.scene,this.paneEvents()));let[t,n,i]=this.panes;t.element.classList.add("large"),this.volume3d=new Te(()=>this.shownLabel());let o=c("div","beside",n.element,i.element,this.volume3d.element),s=c("div","body",t.element,o,this.side);this.root.append(this.bar,this.brushbar,this.noticeBox,s,this.status,this.help),this.root.tabIndex=0,this.listen(),e.parentElement.append(this.root)}component;root=c("div","painter");bar=c("div","bar");brushbar=c("div","bar");status=c("div","status");keeping=c("div","keeping");noticeBox=c("div","notice");side=c("div","side");help=c("dialog","help");volume3d;panes;sizes=new ResizeObserver(()=>this.panes.forEach(e=>e.resize()));server=new de;scene=null;autosave=null;hovering=null;opened="";commentNumber=-1;isDrawing=!1;isBegun=!1;isEnded=!1;leave=()=>this.autosave?.end();async take(e){this.component=e;let{data:t}=e;this.root.style.setProperty("--painter-height",`${t.height}px`),this.root.classList.toggle("dark",Dr(this.root)),this.server.take(t);let n=`${t.object} ${t.readOnly} ${t.merge}`;n!==this.opened?(this.opened=n,await this.open(t)):this.scene&&t.at&&String(t.at)!==String(this.scene.data.at)&&(this.scene.data=t,this.go(F(t.at,this.scene.patch.shape)))}end(){this.isEnded=!0,removeEventListener("pagehide",this.leave),this.autosave?.end(),this.sizes.disconnect(),this.volume3d.end(),this.root.remove()}async open(e){this.autosave?.end(),this.autosave=null,this.scene=null,this.isBegun=!1,this.say("Opening …"),this.root.dataset.state="opening";try{let[t,n]=await Promise.all([le.load(this.server,e),e.readOnly?null:ue.open(ze(e)).catch(()=>null)]);if(this.isEnded||e.object!==this.component.data.object)return;this.autosave=new me(this.server,t,n,e,{changed:()=>this.refreshAll(),told:()=>this.refreshKeeping(),saved:i=>{this.refreshAll(),this.component.setTriggerValue("saved",{versions:i.versions,at:i.savedAt})}}),this.scene=Mr(e,t),this.panes.forEach(i=>i.resize()),this.updatePanes(),await this.autosave.begin(),this.isBegun=!0,this.say(""),this.refreshAll(),this.focusGently()}catch(t){this.openFailed(t,e)}}openFailed(e,t){if(this.isEnded)return;if(e instanceof v)return this.root.dataset.state="refused",this.say(e.message,!0);let n=e instanceof D;this.say(n?"The server cannot be reached; trying again …":`Cannot open the patch: ${String(e)}`,!0),n&&setTimeout(()=>!this.isEnded&&void this.open(t),Tr)}paneEvents(){return{scrolled:(e,t)=>this.go(Oe(this.scene.at,e,t,this.scene.patch.shape)),pressed:(e,t)=>this.pressed(e,t),dragged:(e,t,n)=>this.paintCells(e,je(t,n,this.scene.tool.brush.size)),lassoed:(e,t)=>this.lassoed(e,t),released:()=>this.finishStroke(),moved:e=>this.go(e),hovered:e=>this.hovered(e),contrastDragged:(e,t)=>{this.scene.contrast=xt(this.scene.contrast,e,t),this.updatePanes()}}}pressed(e,t){let{tool:n,patch:i}=this.scene;if(n.name==="comment")return this.pin(e,t);if(!this.canPaint())return;if(n.name==="pen")return this.paintCells(e,je(t,t,n.brush.size));if(n.name!=="component")return;let o=this.voxelOf(e,t);if(o===null||i.predicted[o]!==m)return this.say("Here is no predicted membrane; click on a piece of the prediction.",!0);for(let s of Pt(i.predicted,i.shape,o))i.drawing.paint(s,n.kind,"anywhere");this.finishStroke()}lassoed(e,t){if(!this.canPaint())return this.updatePanes();this.paintCells(e,Jt(t)),this.finishStroke()}paintCells(e,t){if(!this.canPaint())return;let{tool:n,patch:i,at:o}=this.scene,{kind:s}=n,{where:a,through:l}=n.brush;this.isDrawing=!0,At(i.grid,e,o,l,t,h=>i.drawing.paint(h,s,a)),this.updatePanes()}finishStroke(){this.isDrawing=!1;let e=this.scene.patch.drawing.finish();e?(this.scene.patch.history.add(e),this.changed(e)):this.updatePanes()}changed(e){let{patch:t}=this.scene;t.result.follow(e),this.autosave.add(e),this.side.querySelector(".numbers")?.replaceChildren(et(t.result.counts())),this.refreshBars(),this.updatePanes(),this.volume3d.refreshSoon()}canPaint(){let{autosave:e,scene:t}=this;return!!(this.isBegun&&t?.mayPaint&&e?.mayPaint&&!e.notice?.blocks)}undo(){if(!this.canPaint()||this.isDrawing)return;let{patch:e}=this.scene,t=e.history.undo(e.drawing.voxels);t&&this.changed(t)}redo(){if(!this.canPaint()||this.isDrawing)return;let{patch:e}=this.scene,t=e.history.redo(e.drawing.voxels);t&&this.changed(t)}pin(e,t){let{scene:n}=this,i=this.placeOf(e,t);!n||!i||!n.patch.facts.mayComment||(n.pin=i,this.go(i),this.refreshSide())}async comment(e,t){let{scene:n}=this;if(n)try{n.patch.facts.comments=await this.server.comment(e,t),n.pin=null,this.component.setTriggerValue("commented",{at:t,count:n.patch.facts.comments.length}),this.refreshSide(),this.updatePanes()}catch(i){this.say(i instanceof Error?i.message:String(i),!0)}}go(e){this.scene.at=e,this.root.dataset.at=e.join(","),this.updatePanes()}hovered(e){let{scene:t}=this;if(!t||!e)return this.say("");let[n,i,o]=e;this.say(`x ${o}   y ${i}   z ${n}   gray ${t.patch.gray[t.patch.grid.index(n,i,o)]}`)}act(e,t){let{tool:n,patch:i}=t;switch(e.name){case"kind":return this.chooseKind(e.kind);case"tool":return this.chooseTool(e.tool);case"size":return n.brush.size=rn(n.brush.size+e.by,1,ve),this.refreshBars();case"through":return n.brush.through=rn(n.brush.through+e.by,0,ye),this.refreshBars();case"where":return n.nextPlace(),this.refreshBars();case"undo":return this.undo();case"redo":return this.redo();case"save":return void this.autosave?.save();case"slices":return this.go(Oe(t.at,this.hovering??t.main,e.by,i.shape));case"plane":return this.enlarge(e.axis);case"zoom":return this.paneUnder().zoom(e.factor);case"fit":return this.panes.forEach(o=>o.fit()),this.updatePanes();case"view":return this.chooseView(Cr(t));case"overlay":return t.overlay=!t.overlay,this.updatePanes();case"flip":return t.flipped=!t.flipped,this.updatePanes();case"contrast":return t.contrast=on(i.gray),this.updatePanes();case"comment":return this.nextComment();case"volume3d":return this.volume3d.toggle(this.component.data.volume3d);case"help":return this.help.open?this.help.close():this.help.show();case"dismiss":return t.pin=null,this.refreshAll()}}chooseKind(e){let{tool:t}=this.scene;t.kind=e,t.name==="comment"&&(t.name="pen"),this.refreshBars(),this.refreshSide()}chooseTool(e){e==="comment"&&!this.scene.patch.facts.mayComment||(this.scene.tool.name=e,this.scene.pin=null,this.refreshBars(),this.refreshSide(),this.updatePanes())}chooseView(e){this.scene.view=e,this.refreshBars(),this.updatePanes()}nextComment(){let e=this.scene.patch.facts.comments.filter(t=>t.at&&!t.resolved);e.length&&(this.commentNumber=(this.commentNumber+1)%e.length,this.go(e[this.commentNumber].at))}enlarge(e){let{scene:t}=this;t.main=e;let n=[e,...Re.filter(i=>i!==e)];this.panes.forEach((i,o)=>i.show(n[o])),this.updatePanes()}paneUnder(){return this.panes.find(e=>e.shows===this.hovering)??this.panes[0]}voxelOf(e,t){let n=this.placeOf(e,t);return n&&this.scene.patch.grid.index(...n)}placeOf(e,t){let{patch:n,at:i}=this.scene,{rows:o,columns:s}=n.grid.plane(e,0);if(t.row<0||t.column<0||t.row>=o||t.column>=s)return null;let[a,l]=[[1,2],[0,2],[0,1]][e],h=[...i];return h[a]=t.row,h[l]=t.column,h}shownLabel(){let{scene:e}=this;if(!e)return null;let{patch:t,data:n}=e;return{label:t.merged??t.result.label(t.drawing.voxels),was:t.predicted,shape:t.shape,colors:n.colors}}refreshAll(){let{scene:e,autosave:t}=this;!e||!t||(e.mayPaint=t.mayPaint,this.refreshBars(),this.refreshSide(),this.refreshKeeping(),this.updatePanes(),this.volume3d.refreshSoon(),this.root.dataset.at=e.at.join(","))}refreshBars(){let{scene:e,autosave:t}=this;if(!e||!t)return;let n=this.toolbarEvents(),i={unsaved:t.strokes,isSaving:t.isSaving};this.refill(this.bar,[en(e,i,n)]),this.refill(this.brushbar,[tn(e,n,this.keeping)])}refill(e,t){let n=this.root.getRootNode().activeElement,i=n instanceof HTMLElement&&e.contains(n)?n.title:null;if(e.replaceChildren(...t),i===null)return;let o=[...e.querySelectorAll("button, select")].find(a=>i&&a.title===i);(o&&!o.matches(":disabled")?o:this.root).focus({preventScroll:!0})}toolbarEvents(){return{kindChosen:e=>this.chooseKind(e),toolChosen:e=>this.chooseTool(e),viewChosen:e=>this.chooseView(e),changed:()=>this.updatePanes(),undone:()=>this.undo(),redone:()=>this.redo(),saved:()=>{this.autosave?.save()},volume3d:()=>this.volume3d.toggle(this.component.data.volume3d),helped:()=>this.act({name:"help"},this.scene)}}refreshSide(){let{scene:e,autosave:t}=this;if(!e||!t)return;let n=qt(e,{layersChanged:()=>this.updatePanes(),continued:i=>{t.goOnWith(i)},jumped:i=>this.go(i),commented:(i,o)=>{this.comment(i,o)},startedOver:()=>{t.startOver()}});this.refill(this.side,n)}refreshKeeping(){let{autosave:e,scene:t}=this;if(!e||!this.isBegun)return;let{notice:n}=e;t&&t.mayPaint!==e.mayPaint&&(t.mayPaint=e.mayPaint,this.refreshSide(),this.updatePanes()),this.refreshBars();let i=n?.choices.map(s=>f(s.text,s.text,s.act))??[];this.noticeBox.className=n?`notice shown${n.bad?" bad":""}`:"notice",this.refill(this.noticeBox,n?[c("span","",n.text),...i]:[]);let o=e.strokes?`${fe(e.strokes)} not saved`:"";this.keeping.textContent=[o,e.said].filter(Boolean).join("   ·   "),this.keeping.classList.toggle("bad",e.isBad),this.root.dataset.unsaved=String(e.strokes),this.root.dataset.state=n?.blocks?"asking":e.isSaving?"saving":e.mayPaint?"ready":"looking",e.kept().then(()=>this.root.dataset.kept=String(e.strokes))}updatePanes(){this.panes.forEach(e=>e.update())}listen(){let{root:e}=this;e.addEventListener("keydown",n=>this.keyDown(n)),e.addEventListener("keyup",n=>this.hold(n,!1)),e.addEventListener("pointerenter",()=>this.focusGently()),e.addEventListener("pointerdown",()=>this.autosave?.active()),addEventListener("pagehide",this.leave);for(let n of this.panes)this.sizes.observe(n.element),n.element.addEventListener("pointerenter",()=>this.hovering=n.shows),n.element.addEventListener("pointerleave",()=>this.hovering=null);e.addEventListener("askpoint",n=>this.answerPoint(n));let t=Et.map(([n,i])=>c("tr","",c("td","keys",n),c("td","",i)));this.help.append(c("h4","","Keys"),c("table","",...t)),this.help.addEventListener("click",()=>this.help.close())}answerPoint({detail:e}){e.point=this.panes.find(t=>t.shows===e.axis)?.pageOf(e.voxel)??null}keyDown(e){this.hold(e,!0);let t=e.composedPath()[0],i=t instanceof HTMLTextAreaElement||t instanceof HTMLSelectElement?null:kt(e);!i||!this.scene||(e.preventDefault(),e.stopPropagation(),this.act(i,this.scene))}hold(e,t){e.key!==" "||e.composedPath()[0]!==this.root||(e.preventDefault(),this.panes.forEach(n=>n.isPanning=t))}focusGently(){let e=document.activeElement,t=e instanceof HTMLInputElement||e instanceof HTMLTextAreaElement,n=this.root.getRootNode().activeElement;!t&&!(n instanceof HTMLTextAreaElement)&&this.root.focus({preventScroll:!0})}say(e,t=!1){this.status.textContent=e,this.status.classList.toggle("bad",t)}};function Mr(r,e){let[t,n,i]=e.shape,o=[Math.floor(t/2),Math.floor(n/2),Math.floor(i/2)];return{data:r,patch:e,tool:new Se,palette:$t(r.colors),at:r.at?F(r.at,e.shape):o,main:0,view:r.readOnly?"after":"corrections",contrast:on(e.gray),opacity:.55,overlay:!0,flipped:!1,mayPaint:!1,pin:null}}function on(r){let e=new Array(256).fill(0);for(let t=0;t<r.length;t+=7)e[r[t]]+=1;return bt(e,.5)}function Cr(r){let e=r.data.readOnly?xe:be;return e[(e.indexOf(r.view)+1)%e.length]}function Dr(r){let e=getComputedStyle(r).getPropertyValue("--st-background-color").trim();return(/^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(e)?.slice(1)??["ff"]).every(n=>Number.parseInt(n,16)<96)}function rn(r,e,t){return Math.min(Math.max(r,e),t)}var Ce=new WeakMap;function Rr(r){let{parentElement:e}=r,t=Ce.get(e);if(!t){let n=document.createElement("style");n.textContent=nt,e.append(n),t=new Me(r),Ce.set(e,t)}return t.take(r),()=>{Ce.get(e)?.end(),Ce.delete(e)}}export{Rr as default};
