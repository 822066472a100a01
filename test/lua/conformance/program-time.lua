-- os.date and os.time.

print("== os date")
do
for _,f in ipairs{"!%c","!%x","!%X","!%Y-%m-%d %H:%M:%S","!%a %A %b %B","!%d %e %j %y","!%I %p %H %M","!%U %W %V %G %g %u %w","!%D %F %T %R %r","!%n%t%%","!%C %h","!%s","!%z %Z","!%Ec %EC %Ex %EX %Ey %EY","!%Od %Oe %OH %OI %Om %OM %OS %Ou %OU %OV %Ow %OW %Oy","%Y-%m-%d %H:%M:%S %Z %z","!","","!abc","%%"} do print(f,pcall(os.date,f,1700000000)) print(f,pcall(os.date,f,0)) end
for _,f in ipairs{"%Q","%","%E","%Ez","%O","%Oc","%k","%l","%P","%L","%5Y","%-d","%+"} do print(f,pcall(os.date,f,0)) end
end

print("== os date table")
do
local d=os.date("!*t",1700000000)
print(d.year,d.month,d.day,d.hour,d.min,d.sec,d.wday,d.yday,d.isdst) d=os.date("*t",0)
print(d.year,d.isdst,d.wday,d.yday)
print(os.time(os.date("*t",123456789)))
print(pcall(os.date,"*t",1.5))
print(pcall(os.date,"*t","x"))
print(pcall(os.date,5))
print(os.date("!%H",3600.0))
print(pcall(os.date,"!%Y",2^40))
print(pcall(os.date,"!%Y",1e30))
print(os.date("!*t",-1).year)
print(os.date("!%Y",-1e9))
print(os.date("!*tx",0).year,pcall(os.date,"*",0))
print(os.date("!%x %X",86399),os.date("!%c",951782400),os.date("!%j",951782400+86400*306))
print(os.date("!%Y-%m-%d",4102444800),os.date("!%Y-%m-%d",2147483648),os.date("!%Y-%m-%d",253402300799))
end

print("== os time")
do
print(os.time{year=2020,month=1,day=1,hour=12},os.time{year=2020,month=1,day=1},os.time{year=2020,month=1,day=1,hour=0,min=-1,sec=3601})
print(os.time{year=2020,month=14,day=-3,hour=0},os.time{year=2020,month=0,day=0,hour=0},os.time{year=2021,month=2,day=29},os.time{year=1970,month=1,day=1,hour=0})
print(pcall(os.time,{year=2020}))
print(pcall(os.time,{year=2020,month=1}))
print(pcall(os.time,{year="x",month=1,day=1}))
print(pcall(os.time,{year=2020,month=1.5,day=1}))
print(os.time{year="2020",month="1",day="1",hour="0"})
print(pcall(os.time,{}))
print(pcall(os.time,5))
print(pcall(os.time,{year=1e20,month=1,day=1}))
local t={year=2020,month=14,day=35,hour=25}
print(os.time(t))
print(t.year,t.month,t.day,t.hour,t.min,t.sec,t.wday,t.yday,t.isdst)
print(os.time{year=2020,month=6,day=1,hour=0,isdst=true},os.time{year=2020,month=6,day=1,hour=0,isdst=false})
print(math.type(os.time()),math.type(os.time{year=2000,month=1,day=1}),math.type(os.clock()),math.type(os.difftime(5,3)),os.difftime(5,3),pcall(os.difftime))
print(os.time{year=2000,month=1,day=1,hour=0}-os.time{year=1999,month=12,day=31,hour=0})
print(pcall(os.time,{year=1969,month=12,day=31,hour=23,min=59,sec=59}))
print(os.time{year=1960,month=1,day=1,hour=0})
end
