-- The string library and the text of strings.

print("== patterns items")
do
local function m(s,p,i) print(s,p,s:find(p,i)) end
for _,p in ipairs{".","%a","%c","%d","%g","%l","%p","%s","%u","%w","%x","%A","%D","%S","%W","[%a_]","[^%s]","[a-c]","[%-x]","[]]","[^]]","[a%-z]","[%w%.]","%.","%%","^h","o$","^$","l*","l+","l-","l?","x*","x-","x?",".-o",".*o","(l)(l)","()l()","%b()","%f[%a]%a+","%f[%d]","(.)%1","[h-]","[-h]","[%]]","[a-%%]"} do m("hello (world) 42%",p) end
end

print("== patterns bytes")
do
local all={}
for i=0,255 do all[#all+1]=string.char(i) end all=table.concat(all)
for _,c in ipairs{"a","c","d","g","l","p","s","u","w","x"} do local n,N=0,0 for _ in all:gmatch("%"..c) do n=n+1 end for _ in all:gmatch("%"..c:upper()) do N=N+1 end print(c,n,N) end
print(("a\0b"):find("%z"),("a\0b"):find("\0"),("a\0b"):find("[\0]"),("a\0b"):find("[^\0]+",2),("é"):find("[\128-\255]+"))
end

print("== patterns balance frontier")
do
print(("f(a(b)c)d"):match("%b()"))
print(("((x)"):match("%b()"))
print(("x"):match("%bxx"))
print(("xyx"):match("%bxy"))
print(("THE (quick) fox"):find("%f[%a]%a+%f[%A]"))
for w in ("THE (quick) fox"):gmatch("%f[%a]%a+") do io.write(w,".") end
print()
print(("foo.bar"):gsub("%f[%w]%w+","<%0>"))
print(("aaa"):find("%f[a]a+%f[\0]"))
print(("hello"):gsub("%f[%z]","!"))
print(pcall(string.find,"a","%f"))
print(pcall(string.find,"a","%fx"))
print(pcall(string.find,"a","%b"))
print(pcall(string.find,"a","%bx"))
end

print("== captures")
do
print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
print(("2024-01-02"):match("(%d+)-(%d+)-(%d+)"))
print(("abc"):match("()b()"))
print(("abc"):match("((a)(b))"))
print(("abc"):find("(b)(c)"))
print(("abc"):match(".-"))
print(("abc"):match(".-$"))
print(("  trim  "):match("^%s*(.-)%s*$").."|")
print(("a,b,,c"):find(",",3))
print(("x"):match("(x)(y?)"))
print(("abcabc"):match("(a)(b)c%1%2"))
print(pcall(string.match,"x",("(x)"):rep(33)))
print(select("#",("a"):rep(32):match(("(a)"):rep(32))))
print(("abc"):match("b",-2),("abc"):match("b",3),("abc"):match("",10),("abc"):match("",4),("abc"):match("^b",2))
end

print("== find init plain")
do
for _,a in ipairs{{"hello","l",1},{"hello","l",4},{"hello","l",5},{"hello","l",-2},{"hello","l",-100},{"hello","",1},{"hello","",6},{"hello","",7},{"hello","",-1},{"","",1},{"","",2},{"a.b",".",1,true},{"a.b","%.",1,true},{"a+b","+",1,true},{"a+b","a+b",1,true},{"a+b","a+b"},{"abc","c",3,true},{"abc","",4,true},{"abc","",5,true},{"abc","b",1,nil},{"abc","b",1,0},{"abc","b",nil,true}} do print(a[1],a[2],a[3],a[4],string.find(table.unpack(a,1,4))) end
print(pcall(string.find,"a"))
print(pcall(string.find))
print(pcall(string.find,"a","a","x"))
print(pcall(string.find,nil,"a"))
print(pcall(string.find,"a",nil))
end

print("== gsub repl")
do
print(("hello world"):gsub("(%w+) (%w+)","%2 %1 %0 %%"))
print(("abc"):gsub("","-"))
print(("abc"):gsub(".","%0%0",2))
print(("abc"):gsub("b",{b="B"}))
print(("abc"):gsub("%w",{a=1,b=2.5,c=false}))
print(("abc"):gsub("(%w)(%w)",{a="X"}))
print(("abc"):gsub("()",{[1]="one",[3]="three"}))
print(("abc"):gsub("%w",function(c) if c=="b" then return end return c..c end))
print(("abc"):gsub("(a)(b)",function(a,b,c) return tostring(a)..tostring(b)..tostring(c) end))
print(pcall(string.gsub,"abc","%w",function() return {} end))
print(pcall(string.gsub,"abc","%w",{a=true}))
print(pcall(string.gsub,"abc","%w",{a={}}))
print(pcall(string.gsub,"abc","%w",function() return true end))
print(pcall(string.gsub,"abc","a","%2"))
print(pcall(string.gsub,"abc","(a)","%2"))
print(pcall(string.gsub,"abc","a","%"))
print(pcall(string.gsub,"abc","a","%a"))
print(("abc"):gsub("a","%1"))
print(("abc"):gsub("(a)","%1%1%0"))
print(pcall(string.gsub,"abc","a"))
print(pcall(string.gsub,"abc","a",nil))
print(pcall(string.gsub,"abc","a",true))
print(("abc"):gsub("a",5))
print(("abc"):gsub("a",5.5))
print(("abc"):gsub("z","x"))
print(("aaa"):gsub("a","b",0))
print(("aaa"):gsub("a","b",-1))
print(("aaa"):gsub("a","b","2"))
print(pcall(string.gsub,"aaa","a","b","x"))
print(("abc"):gsub("$","!"))
print(("abc"):gsub("^","!"))
print(("abc abc"):gsub("^abc","X"))
print(("a b"):gsub("%s*","_"))
print(("hello"):gsub("l+",string.upper))
print(pcall(string.gsub,"abc","b",function() error("in cb") end))
print(pcall(string.gsub,"abc","b",function() error({}) end))
print(("x"):gsub("x","\0"))
print(("a.b"):gsub("%.","%%"))
print(("abc"):gsub("b",setmetatable({},{__index=function(t,k) return k:upper() end})))
end

print("== gmatch")
do
for k,v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do io.write(k,v," ") end
print()
for w in ("one two  three"):gmatch("%S+") do io.write("[",w,"]") end
print()
for p in ("abc"):gmatch("()") do io.write(p," ") end
print()
for s in ("abc"):gmatch("") do io.write("[",s,"]") end
print()
for s in ("hello"):gmatch("l*") do io.write("[",s,"]") end
print()
for s in ("abab"):gmatch("^a") do io.write("[",s,"]") end
print("|")
for a,b in ("abcd"):gmatch("(.)(.)") do io.write(a,"-",b," ") end
print()
for l in ("a\nb\n\nc"):gmatch("([^\n]*)\n?") do io.write("<",l,">") end
print()
print(pcall(string.gmatch))
print(pcall(string.gmatch,"a"))
print(pcall(function() for x in ("a"):gmatch("(") do end end))
local it=("ab"):gmatch(".")
print(it(),it(),it())
print(it())
print(type(it))
for s in ("a,b,c"):gmatch("[^,]*") do io.write("{",s,"}") end
print()
for s in ("x"):gmatch("x*") do io.write("{",s,"}") end
print()
end

print("== byte char sub rep")
do
print(("hello"):byte(),("hello"):byte(2),("hello"):byte(-1),("hello"):byte(10),("hello"):byte(0))
print(("hello"):byte(1,3))
print(("hello"):byte(3,1))
print(("hello"):byte(-3,-1))
print(("hello"):byte(1,100))
print(#string.char(),string.char(72,105),pcall(string.char,256))
print(pcall(string.char,-1))
print(pcall(string.char,"x"))
print(string.char("65"))
print(("hello"):sub(2,3),("hello"):sub(-3),("hello"):sub(-3,-2),("hello"):sub(0),("hello"):sub(10),("hello"):sub(3,2),("hello"):sub(-100,100),("hello"):sub(2,-2),("hello"):sub(1,0).."|",("hello"):sub(5,5))
print(("ab"):rep(3),("ab"):rep(3,","),("ab"):rep(1,","),("ab"):rep(0,","),("ab"):rep(-1),(""):rep(100).."|",("x"):rep(3,""))
print(("Hello"):upper(),("Hello"):lower(),("Hello"):reverse(),("Hello"):len(),#"",(""):reverse().."|",("\xe9A"):lower()=="\xe9a")
print(pcall(string.sub))
print(pcall(string.sub,"x"))
print(pcall(string.sub,"x",{}))
print(pcall(string.byte,"x",{}))
print(pcall(string.upper))
print(pcall(string.rep,"x"))
print(pcall(string.len))
print(pcall(string.reverse,{}))
print(pcall(string.rep,"x",1e10))
print(string.len(12345),string.sub(12345,2,3),string.upper(1.5))
print(("x"):sub(math.mininteger,math.maxinteger),("x"):byte(math.mininteger,math.maxinteger))
end

print("== string compare")
do
local l={"b","a","B","","ab","a b","_","1","10","2","é","\0","\0\0","z","Z","a\0","a\0b"}
table.sort(l)
for _,s in ipairs(l) do io.write(("%q "):format(s)) end
print()
print("a"<"b","a"<"B","a\0a"<"a\0b","a\0"<"a","é">"z","ab"<"abc",""<"\0","Z"<"a","a"<="a","b">="a")
end

print("== concat numbers")
do
print(1 ..2,1.5 .."x",-1 ..2,2^53 .."",10/2 .."",1e100 .."","x"..1e15,0.1 ..0.2,-0.0 .."",1/0 .."",-1/0 .."")
print(pcall(function() return "a"..nil end))
print(pcall(function() return {}.."a" end))
print(pcall(function() local t={} return "a"..t.x end))
print(pcall(function() return 1 ..true end))
print(pcall(function() return ("a"):rep(3)..print end))
end

print("== format big strings")
do
print(#string.format("%s",("x"):rep(500)),#string.format("%99s",("x"):rep(200)),#string.format("%-99s|","x"),pcall(string.format,"%100s","x"))
print(#string.format("%q",("\0"):rep(10)),string.format("%q","\0001"),string.format("%q","\200\n\r\0"))
print(string.format("%s%s%s","a",2,3.5))
end

print("== format tostring meta")
do
local T=setmetatable({},{__tostring=function() return "TT" end})
print(string.format("%s|%5s|%.1s",T,T,T))
print(pcall(string.format,"%s",setmetatable({},{__tostring=function() return 5 end})))
print(pcall(string.format,"%s",setmetatable({},{__tostring=function() return nil end})))
print(pcall(string.format,"%d",T))
print((string.format("%s",setmetatable({},{__name="My.Type"})):gsub("0x%x+","P")))
print(string.format("%s","a\0b")==("a\0b"),#string.format("%s","a\0b"))
print(pcall(string.format,"%5s","a\0b"))
print(#string.format("%.5s","abcdefgh"))
print(#string.format("%s",("x"):rep(1000)))
end

print("== format nan")
do
print(string.format("%f %.1f %g %e",0/0,-(0/0),0/0,-(0/0)))
print(string.format("%d",-0.0))
print(pcall(string.format,"%d",0/0))
print(pcall(string.format,"%d",1/0))
print(pcall(string.format,"%d",1e100))
print(string.format("%5.2f|%5.2f",0/0,1/0))
print(string.format("%x",-0.0))
print(string.format("%s %s",1e15,1e16))
end

print("== utf8")
do
print(utf8.char(72,228,8364,128512,0x7ff,0xffff),utf8.charpattern=="[\0-\x7F\xC2-\xF4][\x80-\xBF]*")
for p,c in utf8.codes("aä€😀") do io.write(p,":",c," ") end
print()
print(utf8.len("aä€"),utf8.len(""),utf8.len("\xff"),utf8.len("a\x80"),utf8.len("aä€",2),utf8.len("aä€",-3),utf8.len("abc",4),utf8.len("abc",2,1))
print(utf8.len("aä",3))
print(pcall(utf8.len,"abc",5))
print(pcall(utf8.len,"abc",1,4))
print(utf8.codepoint("aä€",1,-1))
print(utf8.codepoint("abc"))
print(pcall(utf8.codepoint,"ä",2))
print(pcall(utf8.codepoint,"abc",4))
print(pcall(utf8.codepoint,"abc",0))
print(utf8.offset("aä€",3),utf8.offset("aä€",-1),utf8.offset("aä€",0,3),utf8.offset("abc",4),utf8.offset("abc",5),utf8.offset("abc",-4),utf8.offset("aä€",1))
print(pcall(utf8.offset,"ä",1,2))
print(pcall(utf8.offset,"abc",1,5))
print(pcall(utf8.char,-1))
print(pcall(utf8.char,0x80000000))
print(utf8.char(0))
print(pcall(utf8.char,"x"))
print(pcall(function() for _ in utf8.codes("a\xff") do end end))
print(pcall(function() for _ in utf8.codes("\xe4") do end end))
print(pcall(utf8.codes))
print(pcall(utf8.len))
print(utf8.len("\u{D7FF}"),utf8.len("\xed\xa0\x80"),utf8.len("\xf4\x90\x80\x80"),utf8.len("\xc0\x80"),utf8.len("\xf8\x88\x80\x80\x80"))
for w in ("aä€"):gmatch(utf8.charpattern) do io.write("[",w,"]") end
print()
end

print("== string buffer and split")
do
local function split(s,sep,plain) local out,pos={},1 while true do local a,b=s:find(sep,pos,plain) if not a then out[#out+1]=s:sub(pos) return out end out[#out+1]=s:sub(pos,a-1) pos=b+1 end end
print(table.concat(split("a,b,,c",","),"|"),#split("",","),table.concat(split("a.b.c",".",true),"|"),table.concat(split("a  b c","%s+"),"|"))
local function trim(s) return s:match("^%s*(.-)%s*$") end
print("["..trim("  x y ").."]","["..trim("").."]","["..trim("   ").."]")
print(("hello world foo"):gsub("(%w)(%w*)",function(a,b) return a:upper()..b end))
print(("%5s|%-5s|%05d"):format("ab","cd",42))
print(("x"):rep(3,"-"),("abc"):reverse(),("a,b;c"):gsub("[,;]"," "))
print(("key=val; k2=v2"):gsub("(%w+)=(%w+)","%2=%1"))
print(("a%b"):gsub("%%","%%%%"))
print(("path/to/file.txt"):match("([^/]+)%.(%w+)$"))
print(("path/to/file.txt"):gsub("[^/]+$",""))
end

print("== arithmetic on strings")
do
print("10"+5,"10"*"2","3"^2,"7"//2,"7"%4,"1e1"+0,"0x10"+0," 5 "+1,-"3",-"3.5","10"/2)
print(pcall(function() return "x"+1 end))
print(pcall(function() return 1+"" end))
print(pcall(function() return "5 5"+1 end))
print("10"==10,"abc"<"abd","Z"<"a","10"<"9",""<"a")
print(pcall(function() return "10"<9 end))
print(math.type("10"+0),math.type("10"*1.0),math.type("1.0"+0))
print(#"abc".."d",-2^2,2^-1,2^3^2,not nil==true,1 ..2)
print("a".."b"=="ab",1 .. 2 == "12")
end
