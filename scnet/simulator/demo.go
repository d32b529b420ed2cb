package simulator

import "time"

// DemoAccount is the account of a Simulator that was given none. Its keys are made up.
func DemoAccount() Account {
	return Account{
		User:      "demo",
		AccessKey: "85f96a42b13f4d2c8b760d2775bbcca8",
		SecretKey: "0123456789abcdef0123456789abcdef",
	}
}

// DemoRegions are two regions with container instances in every documented state, as of now. The first has the ids of all
// samples on the pages, in states in which the samples succeed. The pairing of the second region's id and name is made up.
func DemoRegions(now time.Time) []Region {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	day := 24 * time.Hour
	torch := DemoImages()[0]
	dcu := DemoImages()[1]
	return []Region{
		{
			ID: "11250", Name: "华东一区【昆山】", ClusterUser: "acdemo01",
			Instances: []Instance{
				withImage(Instance{
					ID: "530491fa7c8e47348f01de73e627a6a7", Name: "qwen-finetune-01", TaskType: "jupyter",
					Description: "Qwen 微调,第一轮", GPUNumber: 2, Status: Running, HeaderNotebookIP: "10.0.35.31",
					CreateTime: ago(2 * day), StartTime: ago(2*day - 4*time.Minute), TimeLimit: 15 * day,
					Mounts: []Mount{{"/public/home/acdemo01/qwen", "/root/qwen", "path"}},
					Ports:  []Port{{ContainerPort: 22, ProtocolType: "SSH"}, {ContainerPort: 8000, ProtocolType: "HTTP"}},
				}, dcu),
				withImage(Instance{
					ID: "9d1c0f6a2b7e4c53a8e1f4d27b60c915", Name: "qwen-finetune-02", TaskType: "jupyter",
					Description: "Qwen 微调,第二轮", GPUNumber: 4, Status: Waiting, CreateTime: ago(11 * time.Minute),
				}, dcu),
				withImage(Instance{
					ID: "1bc50ecb6bc742a5afc0a8810018cb02", Name: "流体仿真-后处理", TaskType: "ssh",
					GPUNumber: 1, Status: Deploying, CreateTime: ago(3 * time.Minute),
				}, torch),
				withImage(Instance{
					ID: "d3e0702e9389426cbc9cb86cdc548a54", Name: "bert-eval", TaskType: "codeserver",
					GPUNumber: 1, Status: Terminated, TimeLimit: 8 * time.Hour,
					CreateTime: ago(6 * day), StartTime: ago(6*day - 2*time.Minute), EndTime: ago(6*day - 2*time.Minute - 8*time.Hour),
					UseStartScript: true, StartScriptContent: "export WANDB_API_KEY=not-a-real-key-5f2b\npython /root/eval.py\n",
				}, torch),
				withImage(Instance{
					ID: "765aa93507c74b9eaee044cbaa51ed43", Name: "蛋白质结构预测", TaskType: "jupyter",
					Description: "镜像拉取失败", GPUNumber: 2, Status: Failed,
					CreateTime: ago(9 * day), EndTime: ago(9*day - 5*time.Minute),
				}, dcu),
				withImage(Instance{
					ID: "195d453c7a424b32ac8593512fec6a26", Name: "Instances_2204208761", TaskType: "ssh",
					GPUNumber: 1, Status: Completed,
					CreateTime: ago(20 * day), StartTime: ago(20*day - 3*time.Minute), EndTime: ago(19 * day),
				}, torch),
				withImage(Instance{
					ID: "7d64e73803de4a6e9a15a8c79c7da015", Name: "rstudio-统计分析", TaskType: "rstudio",
					GPUNumber: 1, Status: Running, CreateTime: ago(5 * time.Hour), StartTime: ago(5*time.Hour - 90*time.Second),
				}, torch),
				withImage(Instance{
					ID: "4c1f43ddb030483e89b55413bee6c004", Name: "bert-train", TaskType: "ssh",
					GPUNumber: 1, Status: Terminated,
					CreateTime: ago(4 * day), StartTime: ago(4*day - time.Minute), EndTime: ago(3 * day),
				}, torch),
			},
		},
		{
			ID: "20057", Name: "华东三区【乌镇】", ClusterUser: "acdemo02",
			Instances: []Instance{
				withImage(Instance{
					ID: "e41b7c09f2d84a6b93c5087fd16ae2b8", Name: "气候模拟-wrf", TaskType: "rstudio",
					GPUNumber: 1, Status: Running, CreateTime: ago(5 * time.Hour), StartTime: ago(5*time.Hour - 90*time.Second),
				}, torch),
				withImage(Instance{
					ID: "0c8d52e7b6f14935a1e04b9d7c23f680", Name: "bert-eval", TaskType: "ssh",
					GPUNumber: 1, Status: Terminated,
					CreateTime: ago(4 * day), StartTime: ago(4*day - time.Minute), EndTime: ago(3 * day),
				}, torch),
			},
		},
	}
}

// withImage fills in what follows from the image and the number of accelerators.
func withImage(in Instance, im Image) Instance {
	in.Version, in.ImagePath = im.Name+":"+im.Tag, im.Path
	in.AcceleratorType = im.AcceleratorType
	if in.ResourceGroup = "TeslaM40"; im.AcceleratorType == "dcu" {
		in.ResourceGroup = "kshdtest"
	}
	in.CPUNumber, in.RAMSize = 8*in.GPUNumber, 15360*in.GPUNumber
	return in
}

// OddRegions are regions that an account may have and cannot use: one without the container service, and one in which the
// account is suspended. Their ids and names are paired by us.
func OddRegions() []Region {
	return []Region{
		{ID: "20091", Name: "华中一区【A区】", NoContainer: true},
		{ID: "30000", Name: "西北一区【西安】", Suspended: true},
	}
}

// DemoGroups are the resource groups of a Region that was given none. The first has the values of the sample of page
// container/resources.
func DemoGroups() []ResourceGroup {
	return []ResourceGroup{
		{Name: "TeslaM40", AcceleratorType: "gpu", CPUNumber: 40, GPUNumber: 2, MemorySize: 31888, NodeNumber: 1},
		{Name: "kshdtest", AcceleratorType: "dcu", CPUNumber: 32, GPUNumber: 4, MemorySize: 126976, NodeNumber: 16},
		{Name: "cpu-share", AcceleratorType: "cpu", CPUNumber: 64, MemorySize: 257024, NodeNumber: 8, MaxTime: "360:00:00"},
	}
}

// DemoImages are the images of a Region that was given none.
func DemoImages() []Image {
	date := func(day int) time.Time { return time.Date(2026, time.March, day, 10, 0, 0, 0, chinaTime) }
	return []Image{
		{
			ID: "3f0a51c2d9e84b6788c1a4e5f6b70912", Name: "pytorch", Tag: "1.2-py3.6-CUDA10.0", Type: "JupyterLab",
			AcceleratorType: "gpu", Path: "10.0.35.26:5000/gpu/admin/base/pytorch:1.2-py3.6-CUDA10.0",
			CreateTime: date(3), CloneTimes: 12, Size: 6227702579, Description: "PyTorch 1.2, CUDA 10.0",
		},
		{
			ID: "8e27b4d15a6c4f03b9d0c7a8e1f25364", Name: "jupyterlab-pytorch", Tag: "2.4.1-py3.10-dtk25.04", Type: "JupyterLab",
			AcceleratorType: "dcu", Path: "10.0.35.26:5000/dcu/admin/base/jupyterlab-pytorch:2.4.1-py3.10-dtk25.04",
			CreateTime: date(9), CloneTimes: 40, Size: 12025908428, Description: "PyTorch 2.4.1, DTK 25.04",
		},
		{
			ID: "c6b8f9e0a1d24357968b7c5d4e3f2a10", Name: "ubuntu", Tag: "22.04", Type: "Base",
			AcceleratorType: "cpu", Path: "10.0.35.26:5000/cpu/admin/base/ubuntu:22.04",
			CreateTime: date(1), CloneTimes: 3, Size: 966367641, Description: "Ubuntu 22.04",
		},
		{
			ID: "05d7e8f9b1a24c6387d9e0f1a2b3c4d5", Name: "qwen-env", Tag: "v1", Type: "JupyterLab",
			AcceleratorType: "dcu", Path: "10.0.35.26:5000/dcu/acdemo01/qwen-env:v1", Private: true,
			CreateTime: date(20), Size: 15676630630, Description: "Qwen 微调环境",
		},
	}
}
